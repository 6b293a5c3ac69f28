"""The clients alone, without dataplat; seconds of the operation itself.

`copy-s3fs` and `copy-pyarrow FILE BUCKET/PREFIX` read Parquet and write it there, `upload-s3fs` and `upload-pyarrow
FOLDER BUCKET/PREFIX` send all Parquet files as they are, `download-s3fs`, `scan-s3fs` and
`scan-pyarrow BUCKET/PREFIX` of all there, `create-s3fs BUCKET/PREFIX N`, `create-hdfs URL N`.
"""

import json
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BLOCK = 8 << 20
STREAMS = 8


def _s3fs():
    import s3fs

    return s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"], use_listings_cache=False)


def _arrow():
    from pyarrow.fs import S3FileSystem

    scheme, _, address = os.environ["AWS_ENDPOINT_URL_S3"].partition("://")
    return S3FileSystem(endpoint_override=address, scheme=scheme, region=os.environ["AWS_REGION"])


def _files(folder):
    return sorted(Path(folder).rglob("*.parquet"))


def copy_s3fs(source, target):
    return _copy(source, _s3fs().open(f"{target}/rows.parquet", "wb"))


def copy_pyarrow(source, target):
    return _copy(source, _arrow().open_output_stream(f"{target}/rows.parquet"))


def _copy(source, sink):
    import pyarrow.parquet as pq

    begin = time.perf_counter()
    with (
        sink,
        pq.ParquetFile(source) as file,
        pq.ParquetWriter(sink, file.schema_arrow, compression="zstd") as writer,
    ):
        for batch in file.iter_batches(131_072):
            writer.write_batch(batch)
    return {"seconds": time.perf_counter() - begin, "rows": file.metadata.num_rows}


def upload_s3fs(folder, target):
    files, fs = _files(folder), _s3fs()
    fs.ls(target.partition("/")[0])
    begin = time.perf_counter()
    fs.put([str(path) for path in files], [f"{target}/{path.name}" for path in files])
    return _done(begin, files)


def upload_pyarrow(folder, target):
    files, fs = _files(folder), _arrow()

    def send(path):
        with path.open("rb") as source, fs.open_output_stream(f"{target}/{path.name}") as sink:
            while block := source.read(BLOCK):
                sink.write(block)

    begin = time.perf_counter()
    with ThreadPoolExecutor(STREAMS) as pool:
        list(pool.map(send, files))
    return _done(begin, files)


def _done(begin, files):
    return {"seconds": time.perf_counter() - begin, "bytes": sum(path.stat().st_size for path in files)}


def download_s3fs(source):
    """Fetch all bytes in blocks, several at once, as a reader that knows its business does."""
    fs = _s3fs()
    names = [name for name in fs.find(source) if name.endswith(".parquet")]
    sizes = {name: fs.info(name)["size"] for name in names}
    begin = time.perf_counter()
    total = 0
    for name, size in sizes.items():
        starts = list(range(0, size, BLOCK))
        ends = [min(start + BLOCK, size) for start in starts]
        total += sum(map(len, fs.cat_ranges([name] * len(starts), starts, ends, batch_size=STREAMS)))
    return {"seconds": time.perf_counter() - begin, "bytes": total}


def scan_pyarrow(source):
    import pyarrow.fs

    fs = _arrow()
    found = fs.get_file_info(pyarrow.fs.FileSelector(source, recursive=True))
    return _scan(fs, [info.path for info in found if info.path.endswith(".parquet")])


def scan_s3fs(source):
    fs = _s3fs()
    return _scan(fs, [name for name in fs.find(source) if name.endswith(".parquet")])


def _scan(fs, names):
    import pyarrow.dataset

    begin = time.perf_counter()
    rows = pyarrow.dataset.dataset(names, filesystem=fs, format="parquet")
    return {"rows": sum(batch.num_rows for batch in rows.to_batches()), "seconds": time.perf_counter() - begin}


def create_s3fs(target, count):
    fs = _s3fs()
    return _spread(lambda n: fs.pipe_file(f"{target}/{os.urandom(8).hex()}-{n}", b"x" * 500, mode="create"), count)


def create_hdfs(url, count):
    """Create, write, close, rename without overwrite: what atomic creation takes with the client alone."""
    from hdfs_native import Client

    server, _, folder = url.removeprefix("hdfs://").partition("/")
    client = Client(f"hdfs://{server}", {"dfs.replication": "1"})
    client.mkdirs(f"/{folder}/raw", create_parent=True)

    def once(n):
        name = f"/{folder}/raw/{os.urandom(8).hex()}-{n}"
        writer = client.create(f"{name}.tmp")
        writer.write(b"x" * 500)
        writer.close()
        client.rename(f"{name}.tmp", name, False)

    return _spread(once, count)


def _spread(once, count):
    taken = []
    for number in range(int(count) + 3):
        begin = time.perf_counter()
        once(number)
        taken.append(time.perf_counter() - begin)
    taken = sorted(taken[3:])
    return {
        "p50_ms": statistics.median(taken) * 1e3,
        "p90_ms": taken[len(taken) * 9 // 10] * 1e3,
        "max_ms": taken[-1] * 1e3,
        "above_400_ms": sum(seconds > 0.4 for seconds in taken),
    }


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    print(json.dumps(globals()[what.replace("-", "_")](*given)))
