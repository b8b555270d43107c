#!/usr/bin/env python3
"""Writes tests/data/files: tiny model files, good ones (seeds/, where fuzzing starts) and bad ones (malformed/).

    python3 tools/make_file_data.py [FOLDER]        default: tests/data/files

Every malformed file has one defect, which its name says; malformed/expected.tsv names the words that the error must
hold. The same script gives the same bytes, and it needs the standard library only.
"""
import json
import pathlib
import struct
import sys

U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, ARRAY, U64, I64, F64 = range(13)
PLAIN = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q", I64: "q", F64: "d"}
# name -> (number in GGUF, values per block, bytes per block)
TENSOR_TYPES = {
    "f32": (0, 1, 4), "f16": (1, 1, 2), "bf16": (30, 1, 2), "q4_0": (2, 32, 18), "q4_1": (3, 32, 20),
    "q5_0": (6, 32, 22), "q5_1": (7, 32, 24), "q8_0": (8, 32, 34), "q2_k": (10, 256, 84), "q3_k": (11, 256, 110),
    "q4_k": (12, 256, 144), "q5_k": (13, 256, 176), "q6_k": (14, 256, 210), "iq4_nl": (20, 32, 18), "iq4_xs": (23, 256, 136),
    "mxfp4": (39, 32, 17),
}
IQ2_XS = 17


# --- GGUF ---------------------------------------------------------------------------------------------------------


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(kind, content):
    """The bytes of a value without its type; an array is (kind of its elements, list)."""
    if kind == TEXT:
        return text(content)
    if kind == ARRAY:
        element, entries = content
        return struct.pack("<IQ", element, len(entries)) + b"".join(value(element, e) for e in entries)
    return struct.pack("<" + PLAIN[kind], content)


def key(name, kind, content):
    return text(name) + struct.pack("<I", kind) + value(kind, content)


def entry(name, kind, extents, offset):
    """A row of the tensor table; extents innermost first, as GGUF has them."""
    return (text(name) + struct.pack("<I", len(extents)) + b"".join(struct.pack("<Q", e) for e in extents)
            + struct.pack("<IQ", kind, offset))


def gguf(keys, entries, data=b"", alignment=32, version=3, counts=None, magic=b"GGUF", order="<"):
    tensors, names = counts or (len(entries), len(keys))
    head = magic + struct.pack(order + "IQQ", version, tensors, names) + b"".join(keys) + b"".join(entries)
    return head + bytes(-len(head) % alignment) + data if entries else head


ARCHITECTURE = key("general.architecture", TEXT, "tiny")
ROW = entry("row", 0, [8], 0)  # f32, 32 bytes
ROW_DATA = struct.pack("<8f", *range(8))


def with_tensors(entries, data=ROW_DATA, keys=(ARCHITECTURE,), **options):
    return gguf(list(keys), entries, data, **options)


def with_key(*more):
    return with_tensors([ROW], keys=(ARCHITECTURE, *more))


def every_tensor_type():
    entries, data = [], b""
    for name, (number, values, size) in TENSOR_TYPES.items():
        data += bytes(-len(data) % 32)
        entries.append(entry("blk." + name, number, [256, 2], len(data)))
        data += bytes(i * 7 % 251 for i in range(2 * 256 // values * size))
    return with_tensors(entries, data)


EVERY_VALUE_TYPE = [
    key("u8", U8, 255), key("i8", I8, -128), key("u16", U16, 65535), key("i16", I16, -32768),
    key("u32", U32, 2**32 - 1), key("i32", I32, -2**31), key("u64", U64, 2**63 - 1), key("i64", I64, -2**63),
    key("f32", F32, 0.5), key("f64", F64, -0.1), key("yes", BOOL, 1), key("no", BOOL, 0),
    key("text", TEXT, "Grüße 🌍"), key("empty text", TEXT, ""),
    key("u8s", ARRAY, (U8, [1, 2])), key("i8s", ARRAY, (I8, [-1, 2])), key("u16s", ARRAY, (U16, [1, 65535])),
    key("i16s", ARRAY, (I16, [-1])), key("u32s", ARRAY, (U32, [7, 8, 9])), key("i32s", ARRAY, (I32, [-7])),
    key("u64s", ARRAY, (U64, [2**40])), key("i64s", ARRAY, (I64, [-(2**40)])), key("f32s", ARRAY, (F32, [0.25, 4])),
    key("f64s", ARRAY, (F64, [0.1])), key("flags", ARRAY, (BOOL, [1, 0, 1])),
    key("texts", ARRAY, (TEXT, ["a", "", "▁c"])), key("empty list", ARRAY, (TEXT, [])),
]
NESTED = key("nested", ARRAY, (ARRAY, [(U8, [1]), (ARRAY, [(TEXT, ["deep"])])]))
VOCABULARY = [
    key("tokenizer.ggml.tokens", ARRAY, (TEXT, ["<s>", "▁the", "<0x0A>"])),
    key("tokenizer.ggml.scores", ARRAY, (F32, [0, -1, -2.5])),
    key("tokenizer.ggml.token_type", ARRAY, (I32, [3, 1, 6])),
]


def split_keys(index, count, tensors):
    return key("split.no", U16, index), key("split.count", U16, count), key("split.tensors.count", I32, tensors)


GOOD_GGUF = {
    "small": with_tensors([ROW]),
    "version-2": with_tensors([ROW], version=2),
    "value-types": with_key(*EVERY_VALUE_TYPE),
    "tensor-types": every_tensor_type(),
    "nested-arrays": with_key(NESTED, key("after", U8, 1)),
    "alignment-64": with_tensors([ROW, entry("second", 1, [2, 3], 64)], ROW_DATA + bytes(32) + bytes(12),
                                 keys=(ARCHITECTURE, key("general.alignment", U32, 64)), alignment=64),
    "vocabulary": with_key(*VOCABULARY),
    "split-00001-of-00002": with_tensors([ROW], keys=(ARCHITECTURE, *split_keys(0, 2, 2))),
    "split-00002-of-00002": with_tensors([entry("second", 0, [2, 2], 0)], bytes(16), keys=split_keys(1, 2, 2)),
}


def nested_too_deep():
    deep = (U8, [1])
    for _ in range(4):
        deep = (ARRAY, [deep])
    return key("deep", ARRAY, deep)


def one_tensor(kind, extents, offset=0, data=ROW_DATA, name="row"):
    return with_tensors([entry(name, kind, extents, offset)], data)


GOOD = GOOD_GGUF["small"]
KEYS_BEGIN = 24
BAD_GGUF = {  # defect -> (bytes, words of the error)
    "empty": (b"", "is empty"),
    "wrong-magic": (b"GGML" + GOOD[4:], "does not begin with 'GGUF'"),
    "magic-only": (b"GGUF", "ends inside the version"),
    "version-1": (with_tensors([ROW], version=1), "GGUF version 1"),
    "version-4": (with_tensors([ROW], version=4), "GGUF version 4"),
    "big-endian": (with_tensors([ROW], order=">"), "big-endian"),
    "truncated-in-counts": (GOOD[:20], "ends inside the key count"),
    "truncated-in-key": (with_key(EVERY_VALUE_TYPE[0])[:KEYS_BEGIN + len(ARCHITECTURE) + 9], "ends inside key 1"),
    "truncated-in-key-length": (with_key(VOCABULARY[0])[:KEYS_BEGIN + len(ARCHITECTURE) + 3], "ends inside key 1"),
    "truncated-in-value": (GOOD[:KEYS_BEGIN + len(ARCHITECTURE) - 2], "ends inside the value of key"),
    "truncated-in-array": (gguf([key("list", ARRAY, (TEXT, ["abcdefgh", "abcdefgh"]))], [])[:-3], "ends inside"),
    "truncated-in-tensor-table": (GOOD[:KEYS_BEGIN + len(ARCHITECTURE) + len(ROW) - 1], "ends inside a tensor offset"),
    "truncated-in-tensor-data": (GOOD[:-1], "needs 32 bytes"),
    "truncated-before-tensor-data": (GOOD[:-32], "needs 32 bytes"),
    "absurd-tensor-count": (with_tensors([ROW], counts=(2**60, 1)), "tensors, more than"),
    "absurd-key-count": (with_tensors([ROW], counts=(1, 2**64 - 1)), "keys, more than"),
    "absurd-array-count": (gguf([text("list") + struct.pack("<IIQ", ARRAY, TEXT, 2**61) + bytes(64)], []), "more than"),
    "absurd-array-count-of-bytes": (gguf([text("list") + struct.pack("<IIQ", ARRAY, U8, 2**40) + bytes(64)], []),
                                    "more than"),
    "absurd-text-length": (gguf([text("text") + struct.pack("<IQ", TEXT, 2**63) + bytes(64)], []), "ends inside"),
    "absurd-nested-array-count": (gguf([text("list") + struct.pack("<IIQ", ARRAY, ARRAY, 2**62) + bytes(64)], []),
                                  "more than"),
    "key-too-long": (gguf([struct.pack("<Q", 65536) + bytes(64)], []), "more than the 65535 allowed"),
    "key-empty": (with_key(key("", U8, 1)), "empty name"),
    "duplicate-key": (with_key(ARCHITECTURE), "there twice"),
    "key-not-utf8": (with_key(key(b"\xc3\x28", U8, 1)), "not UTF-8"),
    "value-not-utf8": (with_key(key("general.name", TEXT, b"\xed\xa0\x80")), "not UTF-8"),
    "token-not-utf8": (with_key(key("tokenizer.ggml.tokens", ARRAY, (TEXT, ["a", b"\xff"]))), "not UTF-8"),
    "value-type-undefined": (gguf([text("odd") + struct.pack("<I", 13) + bytes(8)], []), "type 13"),
    "array-type-undefined": (gguf([text("odd") + struct.pack("<IIQ", ARRAY, 99, 0)], []), "type 99"),
    "arrays-nested-too-deep": (with_key(nested_too_deep()), "nested more than 4 deep"),
    "boolean-two": (with_key(key("flag", BOOL, 2)), "expected 0 or 1"),
    "integer-beyond-int64": (with_key(key("big", U64, 2**63)), "beyond the integers"),
    "alignment-zero": (with_key(key("general.alignment", U32, 0)), "power of two"),
    "alignment-48": (with_key(key("general.alignment", U32, 48)), "power of two"),
    "alignment-negative": (with_key(key("general.alignment", I32, -32)), "power of two"),
    "alignment-is-text": (with_key(key("general.alignment", TEXT, "32")), "power of two"),
    "no-dimensions": (one_tensor(0, []), "0 dimensions"),
    "five-dimensions": (one_tensor(0, [1, 1, 1, 1, 8]), "5 dimensions"),
    "absurd-dimensions": (with_tensors([text("row") + struct.pack("<I", 2**32 - 1) + bytes(64)]), "dimensions"),
    "zero-extent": (one_tensor(0, [8, 0]), "extent of 0"),
    "extent-beyond-int64": (one_tensor(0, [2**63]), "extent of"),
    "shape-overflow": (one_tensor(0, [2**32, 2**32]), "overflows"),
    "shape-overflow-in-bytes": (one_tensor(0, [2**62]), "overflows"),
    "row-not-whole-blocks": (one_tensor(8, [48], data=bytes(64)), "not a multiple of the 32"),
    "tensor-type-iq2-xs": (one_tensor(IQ2_XS, [256], data=bytes(74)), "stored as iq2_xs"),
    "tensor-type-undefined": (one_tensor(200, [8]), "stored as type 200"),
    "tensor-misaligned": (one_tensor(0, [8], offset=8, data=bytes(64)), "not a multiple of the alignment"),
    "tensor-beyond-end": (one_tensor(0, [8], offset=32), "needs 32 bytes at offset 32"),
    "tensor-offset-overflow": (one_tensor(0, [8], offset=2**64 - 32), "needs 32 bytes"),
    "tensor-larger-than-file": (one_tensor(0, [2**40]), "needs"),
    "overlapping-tensors": (with_tensors([entry("a", 0, [16], 0), entry("b", 0, [8], 32)], bytes(64)), "overlap"),
    "tensors-in-the-same-place": (with_tensors([entry("a", 0, [8], 0), entry("b", 0, [8], 0)]), "overlap"),
    "duplicate-tensor": (with_tensors([ROW, entry("row", 0, [8], 32)], bytes(64)), "there twice"),
    "tensor-without-name": (one_tensor(0, [8], name=""), "has no name"),
    "tensor-name-too-long": (one_tensor(0, [8], name="x" * 256), "more than the 255 allowed"),
    "tensor-name-not-utf8": (one_tensor(0, [8], name=b"\x80"), "not UTF-8"),
    "no-tensors": (gguf([ARCHITECTURE], []), "holds no tensors"),
    "second-part-of-two": (with_key(*split_keys(1, 2, 2)), "is part 2"),
    "part-number-largest": (with_key(key("split.no", U32, 2**31 - 1)), "is part 2147483648"),
    "part-number-beyond-32-bits": (with_key(key("split.no", U32, 2**31)), "expected an integer of 32 bits"),
    "first-part-misnamed": (with_key(*split_keys(0, 2, 2)), "does not end in '-00001-of-00002.gguf'"),
    "second-part-missing-00001-of-00002": (with_key(*split_keys(0, 2, 2)), "cannot open"),
    "parts-beyond-count": (with_key(key("split.count", I32, -3)), "claims to be in -3 parts"),
    "split-count-is-text": (with_key(key("split.count", TEXT, "2")), "expected an integer"),
}

# --- safetensors --------------------------------------------------------------------------------------------------


def safetensors(header, data=b"", length=None):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def weight(dtype="F32", shape=(2, 2), begin=0, end=16):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def one_weight(*arguments, **named):
    return safetensors({"w": weight(*arguments, **named)}, bytes(16))


GOOD_SAFETENSORS = {
    "single.safetensors": safetensors(
        {"__metadata__": {"format": "pt"}, "f32": weight(), "f16": weight("F16", (3,), 16, 22),
         "bf16": weight("BF16", (1, 2, 1), 22, 26), "scalar": weight("F32", (), 26, 30)}, bytes(range(30))),
    "padded.safetensors": safetensors(json.dumps({"w": weight()}).encode() + b"   ", bytes(16)),
    "model-00001-of-00002.safetensors": safetensors({"first": weight()}, bytes(16)),
    "model-00002-of-00002.safetensors": safetensors({"second": weight("BF16", (4,), 0, 8)}, bytes(8)),
    "index.json": json.dumps({"metadata": {"total_size": 24},
                              "weight_map": {"first": "model-00001-of-00002.safetensors",
                                             "second": "model-00002-of-00002.safetensors"}}).encode(),
}

HEADER = json.dumps({"w": weight()}).encode()
BAD_SAFETENSORS = {
    "empty": (b"", "is empty"),
    "truncated-in-header-length": (b"\x10\0\0", "ends inside the length of the header"),
    "header-length-overflow": (safetensors(HEADER, bytes(16), length=2**64 - 1), "claims a header"),
    "header-longer-than-file": (safetensors(HEADER, length=len(HEADER) + 1), "ends inside the header"),
    "header-empty": (safetensors(b""), "does not begin with '{'"),
    "header-not-json": (safetensors(b"{'w': 1}"), "is not JSON"),
    "header-cut-short": (safetensors(HEADER[:-3], bytes(16)), "is not JSON"),
    "header-is-a-list": (safetensors(b"[]"), "does not begin with '{'"),
    "header-begins-with-space": (safetensors(b" " + HEADER, bytes(16)), "does not begin with '{'"),
    "header-not-utf8": (safetensors(HEADER.replace(b"w", b"\xff"), bytes(16)), "is not JSON"),
    "header-nested-too-deep": (safetensors(b'{"w":' + b"[" * 5000 + b"]" * 5000 + b"}"), "nests deeper"),
    "header-without-tensors": (safetensors({"__metadata__": {}}), "holds no tensors"),
    "duplicate-tensor": (safetensors(b'{"w":' + HEADER[6:-1] + b',"w":' + HEADER[6:], bytes(16)), "stands twice"),
    "duplicate-field": (safetensors(b'{"w":{"dtype":"F32","dtype":"F16"}}'), "stands twice"),
    "tensor-without-name": (safetensors({"": weight()}, bytes(16)), "has no name"),
    "tensor-is-a-number": (safetensors({"w": 1}), "not described by an object"),
    "dtype-missing": (safetensors({"w": {"shape": [4], "data_offsets": [0, 16]}}, bytes(16)), "has no 'dtype'"),
    "dtype-is-a-number": (one_weight(dtype=3), "'dtype' that is not text"),
    "dtype-i64": (one_weight("I64", (2,)), "stored as 'I64'"),
    "dtype-with-escape-codes": (one_weight("\x1b[2J\x07"), "stored as '?[2J?'"),
    "shape-missing": (safetensors({"w": {"dtype": "F32", "data_offsets": [0, 16]}}, bytes(16)), "has no 'shape'"),
    "shape-is-text": (safetensors({"w": {**weight(), "shape": "4"}}, bytes(16)), "'shape' that is not a list"),
    "shape-of-nine": (one_weight(shape=[1] * 8 + [4]), "at most 8"),
    "shape-negative": (one_weight(shape=(-2, -2)), "not an integer >= 0"),
    "shape-with-fraction": (one_weight(shape=(2.0, 2)), "not an integer >= 0"),
    "shape-zero": (one_weight(shape=(0, 4), end=0), "extent of 0"),
    "shape-overflow": (one_weight(shape=(2**32, 2**31)), "overflows"),
    "shape-beyond-int64": (one_weight(shape=(2**64 - 1,)), "extent of"),
    "offsets-missing": (safetensors({"w": {"dtype": "F32", "shape": [4]}}, bytes(16)), "has no 'data_offsets'"),
    "offsets-three": (safetensors({"w": {**weight(), "data_offsets": [0, 8, 16]}}, bytes(16)), "not two integers"),
    "offsets-negative": (one_weight(begin=-16, end=0), "not an integer >= 0"),
    "offsets-reversed": (one_weight(begin=16, end=0), "lies at 16 to 0"),
    "offsets-beyond-end": (one_weight(shape=(2, 4), end=32), "lies at 0 to 32"),
    "size-disagrees-with-shape": (one_weight(shape=(3,)), "its shape needs 12"),
    "overlapping-tensors": (safetensors({"a": weight(), "b": weight(begin=8, end=24)}, bytes(24)), "overlaps"),
    "hole-between-tensors": (safetensors({"a": weight(), "b": weight(begin=20, end=36)}, bytes(36)), "hole"),
    "hole-at-begin": (safetensors({"a": weight(begin=4, end=20)}, bytes(20)), "hole"),
    "bytes-after-the-last-tensor": (safetensors({"a": weight()}, bytes(17)), "belong to no tensor"),
    "truncated-in-data": (safetensors({"a": weight()}, bytes(15)), "lies at 0 to 16"),
    "metadata-not-texts": (safetensors({"__metadata__": {"a": 1}, "w": weight()}, bytes(16)), "not a table of texts"),
}


def index(shard):
    return json.dumps({"weight_map": {"first": shard}}).encode()


BAD_INDEX = {  # beside it stands model-00001-of-00002.safetensors, which holds "first"
    "not-json": (b"{", "is not JSON"),
    "without-weight-map": (b"{}", "has no 'weight_map'"),
    "weight-map-empty": (b'{"weight_map":{}}', "has no 'weight_map'"),
    "shard-in-parent-folder": (index("../config.json"), "expected the name of a file in the same folder"),
    "shard-absolute": (index("/etc/hostname"), "expected the name of a file in the same folder"),
    "shard-dots": (index(".."), "expected the name of a file in the same folder"),
    "shard-with-zero-byte": (index("model-00001-of-00002.safetensors\0"), "expected the name of a file"),
    "shard-is-a-number": (index(1), "something that is not text"),
    "shard-missing": (index("model-00009.safetensors"), "is not there"),
    "tensor-in-no-shard": (json.dumps({"weight_map": {"absent": "model-00001-of-00002.safetensors"}}).encode(),
                           "is in no shard"),
}

# --- config.json --------------------------------------------------------------------------------------------------

GOOD_CONFIG = {
    "flat": {"model_type": "llama", "hidden_size": 64, "rms_norm_eps": 1e-6, "tie_word_embeddings": True,
             "architectures": ["LlamaForCausalLM"], "eos_token_id": [1, 106], "rope_scaling": None},
    "nested": {"model_type": "gemma3", "text_config": {"sliding_window": 512, "rope_parameters": {
        "full_attention": {"rope_theta": 1e6, "factor": 8.0}, "sliding_attention": {"rope_theta": 10000}}},
        "vision_config": {"hidden_size": 1152}},
    "lists": {"integers": [1, -2], "mixed": [1, 2.5], "flags": [True, False], "texts": ["a", "b"], "empty": [],
              "odd": [1, "a"], "nulls": [None], "tables": [{"a": 1}], "lists": [[1]], "table": {}},
}
BAD_CONFIG = {
    "empty": (b"", "is empty"),
    "cut-short": (b'{"hidden_size": 64', "is not JSON"),
    "is-a-list": (b"[1]", "is not a JSON object"),
    "not-utf8": (b'{"model_type": "\xc0\x80"}', "is not JSON"),
    "nested-too-deep": (b'{"a":' * 70 + b"1" + b"}" * 70, "nests deeper"),
    "lists-nested-too-deep": (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "nests deeper"),
    "duplicate-name": (b'{"hidden_size": 64, "hidden_size": 65}', "stands twice in one object"),
    "dotted-name-collides": (b'{"a.b": 1, "a": {"b": 2}}', "stands twice: nested"),
    "integer-beyond-int64": (b'{"n": 9223372036854775808}', "beyond the integers"),
    "listed-integer-beyond-int64": (b'{"n": [1, 18446744073709551615]}', "beyond the integers"),
    "number-beyond-double": (b'{"n": 1e999}', "beyond the range of double"),
    "infinity": (b'{"n": Infinity}', "is not JSON"),
    "name-too-long": (b'{"' + b"n" * 257 + b'": 1}', "longer than 256 bytes"),
}

# --- .npy ---------------------------------------------------------------------------------------------------------


def npy(header, data, major=1, length=None):
    size = struct.pack("<H" if major == 1 else "<I", len(header) if length is None else length)
    return b"\x93NUMPY" + bytes([major, 0]) + size + header.encode() + data


def array(kind="<i4", shape="(3,)", data=struct.pack("<3i", 1, -2, 3), order="False", major=1):
    return npy(f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}".ljust(117) + "\n", data, major)


GOOD_NPY = {
    "int32": array(), "int64": array("<i8", data=struct.pack("<3q", 1, -2, 3)), "version-2": array(major=2),
    "version-3": array(major=3), "no-values": array(shape="(0,)", data=b""),
    "tight": npy('{"shape":(1,),"descr":"<i4","fortran_order":False}', struct.pack("<i", 7)),
}
BAD_NPY = {
    "empty": (b"", "is empty"),
    "wrong-magic": (b"\x93NUMPX" + array()[6:], "is not a .npy file"),
    "version-4": (array(major=4), "version 4"),
    "truncated-in-header": (array()[:40], "ends inside the header"),
    "truncated-in-data": (array()[:-1], "more than the 11 bytes left"),
    "bytes-after-the-data": (array() + b"\0", "more bytes than its 3"),
    "header-too-long": (npy("{}", b"", major=2, length=2**31), "claims a header"),
    "header-not-a-dictionary": (npy("[]", b""), "without '{'"),
    "header-without-shape": (npy("{'descr': '<i4', 'fortran_order': False}", b""), "incomplete header"),
    "header-with-more": (npy("{'descr': '<i4', 'fortran_order': False, 'shape': (0,)} + 1", b""), "more than a dict"),
    "header-text-without-end": (npy("{'descr", b""), "does not end"),
    "header-with-unknown-entry": (npy("{'colour': 1}", b""), "unknown entry 'colour'"),
    "float": (array("<f4"), "type '<f4'"),
    "big-endian": (array(">i4"), "type '>i4'"),
    "python-objects": (array("|O"), "type '|O'"),
    "fortran-order": (array(order="True"), "Fortran order"),
    "two-dimensions": (array(shape="(1, 3)"), "more than one dimension"),
    "scalar": (array(shape="()"), "a single number"),
    "extent-negative": (array(shape="(-3,)"), "not an integer"),
    "extent-beyond-uint64": (array(shape="(18446744073709551616,)"), "not an integer"),
    "absurd-count": (array(shape="(4611686018427387904,)"), "more than the 12 bytes left"),
    "value-beyond-int32": (array("<i8", data=struct.pack("<3q", 1, 2**31, 3)), "2147483648 at index 1"),
}


def write_all(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.iterdir():
        if stale.name not in files and not stale.name.startswith("found-"):  # found-*: what fuzzing brought to light
            stale.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "tests" / "data" / "files"
    write_all(out / "seeds" / "gguf", {f"{name}.gguf": raw for name, raw in GOOD_GGUF.items()})
    write_all(out / "seeds" / "safetensors", GOOD_SAFETENSORS)
    write_all(out / "seeds" / "config", {f"{name}.json": json.dumps(raw).encode() for name, raw in GOOD_CONFIG.items()})
    write_all(out / "seeds" / "npy", {f"{name}.npy": raw for name, raw in GOOD_NPY.items()})

    bad = [("gguf", ".gguf", BAD_GGUF), ("safetensors", ".safetensors", BAD_SAFETENSORS), ("index", ".json", BAD_INDEX),
           ("config", ".json", BAD_CONFIG), ("npy", ".npy", BAD_NPY)]
    files, expected = {}, ""
    for kind, ending, defects in bad:
        for defect, (raw, words) in defects.items():
            files[f"{kind}-{defect}{ending}"] = raw
            expected += f"{kind}-{defect}{ending}\t{words}\n"
    write_all(out / "malformed", {**files, "expected.tsv": expected.encode()})


if __name__ == "__main__":
    main()
