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


def own_page_headers() -> dict[str, str]:
    """The headers of our own pages and files: nothing but our own files, and no script within a page.

    Under `no-referrer` a browser sends `Origin: null` with a form, and the check of where it comes from would refuse.
    """
    policy = NOTHING | dict.fromkeys(("script-src", "style-src", "img-src", "connect-src", "form-action"), "'self'")
    return _with_policy(policy) | {"Referrer-Policy": "same-origin"}


def page_headers(nonce: str) -> dict[str, str]:
    """The headers of a page of rq-dashboard, which runs the scripts that have the nonce."""
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
