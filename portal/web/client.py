"""Who is on the other end of the connection."""

import ipaddress

from flask import request

V6_PREFIX = 64  # one household or server holds a whole /64


def client_address() -> str:
    """The client's address for counting: an IPv6 client counts as its /64 (security.md 14)."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "0.0.0.0")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, V6_PREFIX), strict=False))
    return str(address)
