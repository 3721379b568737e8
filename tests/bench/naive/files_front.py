"""The guide's front for files (its section 9.1), and the same written with care for memory.

Neither has authentication, sniffs what comes, hashes it, or sees to it that it is on the disk.
"""

import os
from pathlib import Path
from uuid import uuid4

import aiofiles
from fastapi import FastAPI, UploadFile
from fastapi.responses import FileResponse

DIRECTORY = Path(os.environ["NAIVE_UPLOAD_DIRECTORY"])
_CHUNK_BYTES = 1024 * 1024

app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    """Answer."""
    return {"status": "ok"}


@app.post("/upload")
async def upload_file(file: UploadFile) -> dict[str, str | int]:
    """Store a file, as the guide does."""
    name = str(uuid4())
    async with aiofiles.open(DIRECTORY / name, "wb") as target:
        content = await file.read()
        await target.write(content)
    return {"filename": name, "size": len(content)}


@app.post("/upload-in-chunks")
async def upload_file_in_chunks(file: UploadFile) -> dict[str, str | int]:
    """Store a file piece by piece, as the guide does not."""
    name, size = str(uuid4()), 0
    async with aiofiles.open(DIRECTORY / name, "wb") as target:
        while chunk := await file.read(_CHUNK_BYTES):
            await target.write(chunk)
            size += len(chunk)
    return {"filename": name, "size": size}


@app.get("/download/{filename}")
async def download_file(filename: str) -> FileResponse:
    """Send a file."""
    return FileResponse(DIRECTORY / filename, filename=filename, media_type="application/octet-stream")
