# SPDX-FileCopyrightText: 2026 the gr-ata authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is fuzzed: each target turns bytes into a hostile file, tag, message or signal and uses it as the product does.

It may work, be refused with one sentence (AtaError), or be refused in the log. Anything else raises here.
"""

from __future__ import annotations

import json
import math
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pmt
from fuzz.draws import Draws
from fuzz.graphs import edited_graph
from gnuradio import gr
from gnuradio.ata.bands import extract_bands
from gnuradio.ata.engines import engine_cache
from gnuradio.ata.engines.choose import open_engine
from gnuradio.ata.errors import LONGEST, AtaError
from gnuradio.ata.frontend import normalise
from gnuradio.ata.model import ModelFile, read_model
from gnuradio.ata.occupancy import Occupancy
from gnuradio.ata.pmt_records import record_from_pmt, record_pmt, to_pmt
from gnuradio.ata.recordings import open_recording
from gnuradio.ata.records import Band, Record, utc
from gnuradio.ata.scan import Plan, Sweep
from gnuradio.ata.stitch import Wide
from gnuradio.ata.stream import Frame, FrameStream
from gnuradio.ata.tuning import RadioTuning
from gnuradio.ata.waterfall_picture import COLUMNS, Picture
from tiny_model import METADATA, tiny_proto

ROOT = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
FOLDER = tempfile.TemporaryDirectory(prefix="ata-fuzz-", dir=ROOT)
RATE, FREQ, N = 2e6, 8e8, 2000  # N: samples of a frame of 1 ms
IDENTITY = {"name": "tiny-1", "classes": ["noise", "LTE"], "tensorrt": "10.12.0", "compute_capability": "8.7"}
GLOBALS = ("datatype", "sample_rate", "num_channels", "dataset", "offset", "trailing_bytes", "version")
CAPTURES = ("sample_start", "frequency", "datetime", "header_bytes")
DATATYPES = ("cf32_le", "ci16_be", "cu8", "ci8", "cf64_le", "ci32_le", "cu16_be", "rf32", "ci16")
CELLS = (
    ("sweeps", ("begun", "ended", "freq_lower_edge", "freq_upper_edge", "samp_rate", "model")),
    ("bands", ("freq_lower_edge", "freq_upper_edge", "sightings")),
    ("sightings", ("sweep", "band", "label", "freq_lower_edge", "confidence", "snr_db", "duty_cycle")),
)
RECORD_ENTRIES = tuple(name for name in Record.__dataclass_fields__ if name != "bands")
BAND_ENTRIES = tuple(Band.__dataclass_fields__)
LARGEST_RUN = 1 << 22  # values in a fuzzed network's tensors: larger ones are read, but not run


def path_of(name: str) -> Path:
    return Path(FOLDER.name) / name


def refused(failure: AtaError) -> None:
    """What holds for every refusal."""
    sentence = str(failure)
    assert sentence and len(sentence) <= LONGEST and sentence.isprintable(), ascii(sentence)


def recording_meta(data: bytes) -> None:
    """The text of a .sigmf-meta file, beside eight samples."""
    path_of("x.sigmf-data").write_bytes(bytes(range(64)))
    path_of("x.sigmf-meta").write_bytes(data)
    _play(path_of("x.sigmf-meta"))


def recording(data: bytes) -> None:
    """SigMF whose entries and sizes are anything, and raw IQ with odd settings."""
    draws = Draws(data)
    if draws.byte() % 4 == 0:
        path_of("x.bin").write_bytes(draws.bytes(draws.byte()))
        _play(path_of("x.bin"), draws.number(), draws.number(), draws.pick(DATATYPES))
        return
    path_of("x.sigmf-data").write_bytes(bytes(draws.byte()))
    head = {"core:datatype": draws.pick(DATATYPES), "core:sample_rate": 1e6}
    captures = [{"core:sample_start": 2 * i} for i in range(draws.byte() % 4)]
    while draws.more:
        place, keys = draws.pick([(head, GLOBALS), *((c, CAPTURES) for c in captures)])
        place["core:" + draws.pick(keys)] = draws.json(1)
    path_of("x.sigmf-meta").write_text(json.dumps({"global": head, "captures": captures}))
    _play(path_of("x.sigmf-meta"))


def _play(path: Path, rate: float | None = None, freq: float | None = None, datatype: str | None = None) -> None:
    found = open_recording(path, rate, freq, datatype)
    assert found.read(0, found.samples).dtype == np.complex64
    assert sum(c.count for c in found.captures) == found.samples
    for capture in found.captures:
        assert math.isfinite(capture.center_freq)
        for when in filter(None, [capture.time(0, found.samp_rate)]):
            assert when[0] >= 0 and utc(*when)


def model_metadata(data: bytes) -> None:
    """The text of the `ata` entry of a model file."""
    _front_end_works(_tiny(data))


def model_entries(data: bytes) -> None:
    """Entries of that text replaced by others."""
    draws = Draws(data)
    metadata = json.loads(json.dumps(METADATA))
    while draws.more:
        place = draws.pick([metadata, metadata, metadata["normalise"]])
        if isinstance(place, dict):
            place[draws.pick(list(place) or ["name"])] = draws.json(2)
        metadata.setdefault("normalise", {})
    _front_end_works(_tiny(json.dumps(metadata).encode()))


def _tiny(entry: bytes) -> bytes:
    """The tiny model with bytes, UTF-8 or not, as its entry."""
    pair = b"\x0a\x03ata\x12" + _varint(len(entry)) + entry
    model = tiny_proto()
    del model.metadata_props[:]
    return model.SerializeToString() + b"\x72" + _varint(len(pair)) + pair


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def _read(content: bytes) -> ModelFile:
    path = path_of("x.onnx")
    path.write_bytes(content)
    return read_model(path)


def _front_end_works(content: bytes) -> None:
    """What is accepted makes images of numbers from frames of any power."""
    model = _read(content)
    power = np.full((8, 16), 1e30, np.float32)
    power[2:4], power[4:6], power[:, 8:] = 0, 1e-45, 3.0
    with np.errstate(all="raise", under="ignore"):
        image = normalise(power, model.normalise)
    assert np.isfinite(image).all()
    json.dumps([model.name, *model.classes], allow_nan=False).encode()
    pmt.intern(model.name)


def model_file(data: bytes) -> None:
    """A whole model file."""
    _read(data)


def model_graph(data: bytes) -> None:
    """Networks whose nodes, attributes and weights do not fit; what is accepted is also run."""
    model = _read(edited_graph(Draws(data)))
    shapes = onnx.shape_inference.infer_shapes(onnx.load_model(model.path)).graph.value_info
    work = sum(math.prod(d.dim_value or 1 for d in v.type.tensor_type.shape.dim) for v in shapes)
    if work <= LARGEST_RUN:
        open_engine(model, "onnxruntime-cpu").close()


def engine_sidecar(data: bytes) -> None:
    """The JSON beside a TensorRT engine: only the engine that was stored comes back, or none."""
    path = path_of("x.engine")
    engine_cache.store(path, b"plan", IDENTITY)
    path.with_suffix(".engine.json").write_bytes(data)
    assert engine_cache.load(path, IDENTITY) in (None, b"plan")


class Log:
    """Takes the place of a block's logger: what it is given has to be text that a terminal prints."""

    def info(self, line: str) -> None:
        line.encode()

    error = warn = info


def tuning(data: bytes) -> None:
    """Tags and messages of any type and value, between samples: the stream stays whole."""
    draws = Draws(data)
    stream = FrameStream(_model(), RATE, FREQ, 1.0, draws.pick((0, 0, 100, 2**40)))
    radio = RadioTuning(stream, Log())
    seen = 0
    for _ in range(3):
        for _ in range(draws.byte() % 3):
            radio.ask_by_message(_pmt(draws))
        tags = [_tag(draws) for _ in range(draws.byte() % 6)]
        for frame in radio.frames(np.zeros(N + 500, np.complex64), seen, tags, 0):
            _record(frame)
        seen += N + 500
    stream.end()
    tally = stream.tally
    assert seen == tally.seen == tally.framed + tally.discarded + tally.settled


def _tag(draws: Draws) -> gr.tag_t:
    made = gr.tag_t()
    made.offset = draws.byte() * 9  # within the first chunk and a bit beyond
    made.key = pmt.intern(draws.pick((b"rx_freq", b"rx_rate", b"rx_time", b"\xff")))
    made.value = _pmt(draws)
    return made


def _pmt(draws: Draws, depth: int = 2) -> pmt.pmt_base:
    kind = draws.byte() % (15 if depth else 8)
    inner = lambda: _pmt(draws, depth - 1)  # noqa: E731
    makers = (
        lambda: pmt.from_double(draws.number()),
        lambda: pmt.from_double(draws.number()),
        lambda: pmt.from_long(max(-(2**63), min(draws.integer(), 2**63 - 1))),
        lambda: pmt.from_uint64(draws.integer() % 2**64),
        lambda: pmt.from_complex(complex(draws.number(), draws.number())),
        lambda: pmt.intern(draws.bytes(draws.byte() % 9)),
        lambda: draws.pick((pmt.PMT_NIL, pmt.PMT_T, pmt.PMT_F, pmt.PMT_EOF)),
        lambda: pmt.init_u8vector(3, list(draws.bytes(3).ljust(3))),
        lambda: pmt.make_tuple(pmt.from_uint64(draws.integer() % 2**64), pmt.from_double(draws.number())),
        lambda: pmt.make_tuple(inner(), inner()),
        lambda: pmt.cons(pmt.intern("freq"), inner()),
        lambda: pmt.cons(inner(), inner()),
        lambda: pmt.dict_add(pmt.make_dict(), pmt.intern("freq"), inner()),
        lambda: pmt.list2(inner(), inner()),
        lambda: pmt.init_f64vector(2, [draws.number(), draws.number()]),
    )
    return makers[kind]()


def detects(data: bytes) -> None:
    """Messages where the waterfall expects records: what it takes for one it can draw, name and describe."""
    draws = Draws(data)
    picture = Picture()
    picture.add([Frame(0, np.ones((1, COLUMNS), np.float32), 0, 4 * N, FREQ, RATE, None)], [])
    for _ in range(4):
        band = _replaced(draws, to_pmt(asdict(Band("LTE", FREQ - 4e5, FREQ + 4e5, 0.9, 20.0, 1.0))), BAND_ENTRIES)
        time = draws.pick((None, "2026-01-01T00:00:00.250000Z"))
        record = Record(0, N, N, time, FREQ, RATE, "m", "e", False, 0, None, ())
        bands = pmt.list2(band, _pmt(draws)) if draws.byte() % 8 == 7 else pmt.make_vector(1 + draws.byte() % 2, band)
        message = pmt.dict_add(_replaced(draws, record_pmt(record), RECORD_ENTRIES), pmt.intern("bands"), bands)
        found = record_from_pmt(_pmt(draws) if draws.byte() % 8 == 7 else message)
        if found is not None:
            picture.add([], [found])
    for box in picture.boxes():
        assert np.isfinite([box.low, box.high, box.top, box.bottom]).all() and 0 <= box.top < box.bottom <= 600
    for name in picture.names():
        f"{name.label} {name.center:.2f} {name.confidence:.0%}".encode(errors="surrogateescape")
    picture.find(draws.number(), draws.number())


def _replaced(draws: Draws, message: pmt.pmt_base, names: tuple[str, ...]) -> pmt.pmt_base:
    """-> the dict with anything for some entries."""
    for _ in range(draws.byte() % 4):
        message = pmt.dict_add(message, pmt.intern(draws.pick(names)), _pmt(draws))
    return message


def _record(frame: Frame, bands: tuple = ()) -> None:
    assert abs(frame.center_freq) <= 1e12 and 0.5e6 <= frame.samp_rate <= 245.76e6
    time = utc(*frame.time) if frame.time else None
    Record(
        frame.index, frame.sample_start, frame.sample_count, time, frame.center_freq, frame.samp_rate, "m", "e", False, 0,
        None, tuple(bands),
    ).to_json()  # refuses NaN and Infinity  # fmt: skip


@cache
def _model() -> ModelFile:
    path = path_of("tiny.onnx")
    path.write_bytes(tiny_proto().SerializeToString())
    return read_model(path)


def samples(data: bytes) -> None:
    """Any bit pattern as samples, any logits: the record's numbers are numbers."""
    draws = Draws(data)
    logits = np.frombuffer(draws.bytes(256).ljust(256, b"\1"), np.int8).astype(np.float32).reshape(4, 1, 64)
    pattern = np.frombuffer(draws.rest().ljust(8, b"\0"), np.uint8)
    iq = np.resize(pattern, 8 * N).view(np.complex64)
    model = _model()
    stream = FrameStream(model, RATE, FREQ, 1.0)
    (frame,) = stream.push(iq, 0)
    assert np.isfinite(frame.power).all() and (frame.power >= 0).all()
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(normalise(frame.power, model.normalise)).all()
        wide = np.repeat(np.repeat(logits / 8, 4, 2), model.rows, 1)
        bands, labels = extract_bands(wide, frame.power, model.classes, FREQ, RATE)
    assert labels.max() < len(model.classes)
    _record(frame, bands)


def occupancy_file(data: bytes) -> None:
    """A SQLite file of an earlier scan: some bytes, or some cells, are others."""
    draws = Draws(data)
    path = path_of("x.db")
    content = bytearray(_occupancy())
    for _ in range(draws.byte() % 8):
        content[int.from_bytes(draws.bytes(2), "little") % len(content)] = draws.byte()
    path.write_bytes(content)
    with suppress(sqlite3.Error, UnicodeError), closing(sqlite3.connect(path)) as database:
        for _ in range(draws.byte() % 4):
            table, columns = draws.pick(CELLS)
            value = draws.pick((None, -1, 2**62, 1e308, -1e308, "x", b"\xff", draws.text()))
            with suppress(sqlite3.Error, UnicodeError):
                database.execute(f"UPDATE {table} SET {draws.pick(columns)} = ?", (value,))
        if draws.byte() % 4 == 0:
            database.execute(f"DELETE FROM {draws.pick(CELLS)[0]}")
        database.commit()
    for read_only in (True, False):
        with closing(Occupancy(path, read_only)) as store:
            for band in store.bands():
                json.dumps(asdict(band), allow_nan=False)
            store.history(10)
            if not read_only:
                store.add(_sweep(2))


@cache
def _occupancy() -> bytes:
    path = path_of("whole.db")
    with closing(Occupancy(path)) as store:
        store.add(_sweep(0))
        store.add(_sweep(1))
    return path.read_bytes()


def _sweep(number: int) -> Sweep:
    plan = Plan(700e6, 900e6, 2.4e6, 40.0, 9375.0, 4, 192, (800e6,))
    wide = Wide(np.ones((1, 4), np.float32), 700e6, 200e6 / 4, 40e-3)
    bands = (Band("LTE", 791e6, 801e6, 0.9, 20.0, 1.0), Band("NR", 810e6, 820e6, 0.8, None, 0.5))
    return Sweep(number, 1.79e9 + 60 * number, 1.79e9 + 60 * number + 20, plan, 1, "tiny-1", "none", wide, bands)


TARGETS: dict[str, Callable[[bytes], None]] = {
    f.__name__: f
    for f in (recording_meta, recording, model_metadata, model_entries, model_file, model_graph, engine_sidecar, tuning,
              detects, samples, occupancy_file)
}  # fmt: skip


def run(name: str, data: bytes) -> bool:
    """-> whether the target took the bytes; False where it refused them properly."""
    try:
        TARGETS[name](data)
    except AtaError as failure:
        refused(failure)
        return False
    return True


def seeds(name: str) -> Iterator[bytes]:
    """Bytes to begin with: what is right, and some that steer the choices elsewhere."""
    meta = {
        "global": {"core:datatype": "ci16_le", "core:sample_rate": 1e6, "core:version": "1.0.0", "core:offset": 0},
        "captures": [{"core:sample_start": 0, "core:frequency": 8e8, "core:datetime": "2026-01-01T00:00:00Z"}],
        "annotations": [],
    }
    whole = {
        "recording_meta": json.dumps(meta).encode(),
        "model_metadata": json.dumps(METADATA).encode(),
        "model_file": tiny_proto().SerializeToString(),
        "engine_sidecar": json.dumps({**IDENTITY, "engine_sha256": "0"}).encode(),
    }
    yield whole.get(name, b"")
    rng = np.random.default_rng(1)
    for count in (1, 8, 64, 300):
        yield rng.integers(0, 256, count, np.uint8).tobytes()
