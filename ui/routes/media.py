"""Pictures and texts of samples, cached by content hash."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from ui.addresses import sample_at
from ui.context import Context

# Never a type that a browser runs: whatever else a sample may be is sent as a download.
SHOWN_TYPES = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/gif",
        "image/bmp",
        "image/tiff",
    }
)
SIZES = (128, 256, 512, 1024, 2048)
SANDBOX = "default-src 'none'; sandbox"


def router(context: Context) -> APIRouter:
    """The route of media."""
    routes = APIRouter()

    @routes.api_route("/media/{sample:path}", methods=["GET", "HEAD"])
    def media(
        request: Request, sample: str = "", name: str = "", size: int = 0, v: str = ""
    ) -> Response:
        """`/media/ID`, or `/media/?name=NAME`; see `sample_at`."""
        bench = context.of(request)
        wanted = None if size <= 0 else next((s for s in SIZES if s >= size), SIZES[-1])
        found = sample_at(bench, sample, name)
        if found.text is not None:
            path, kind, etag = None, "text/plain", found.content_hash
        else:
            path, kind, etag = bench.media(found.id, size=wanted)
        tag = f'"{etag}"'
        # An address that names the content never changes its meaning; one that does not must be
        # asked again, because a project of the same name may have been made anew.
        is_named = bool(v) and etag.startswith(v)
        headers = {
            "ETag": tag,
            "Cache-Control": f"private, max-age={31536000 if is_named else 0}"
            + (", immutable" if is_named else ", must-revalidate"),
            "Content-Security-Policy": SANDBOX,
        }
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if path is None:
            return Response(found.text, media_type="text/plain; charset=utf-8", headers=headers)
        if kind not in SHOWN_TYPES:
            headers["Content-Disposition"] = "attachment"
            kind = "application/octet-stream"
        return FileResponse(path, media_type=kind, headers=headers)

    return routes
