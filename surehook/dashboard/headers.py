"""The headers of the dashboard's responses: which scripts may run, and who may frame or keep a page."""

FIXED = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
NOTHING = {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}


def page_headers(nonce: str) -> dict[str, str]:
    """The headers of a page, which runs the scripts that have the nonce."""
    source = f"'nonce-{nonce}'"
    policy = NOTHING | {
        "script-src": source,
        "style-src": f"'self' {source}",
        "img-src": "'self' data:",
        "connect-src": "'self'",
    }
    return _with_policy(policy)


def text_headers() -> dict[str, str]:
    """The headers of a plain sentence."""
    return {"Content-Type": "text/plain; charset=utf-8", **_with_policy(NOTHING)}


def _with_policy(policy: dict[str, str]) -> dict[str, str]:
    return {"Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()), **FIXED}
