"""Calls the probe server with Debian's python3-grpcio and prints one line per check. Argument: the address.

The message classes come from the server's own reflection, so nothing has to be generated.
"""
import sys
import traceback

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ADDRESS = sys.argv[1]
PATIENCE = 15


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text_field(number, value):
    data = value if isinstance(value, bytes) else value.encode()
    return varint(number << 3 | 2) + varint(len(data)) + data


def fields(data):
    """The fields of a serialised message: number and value, in order."""
    at, found = 0, []

    def read():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = read()
        if tag & 7 == 0:
            found.append((tag >> 3, read()))
        else:
            assert tag & 7 == 2, tag
            length = read()
            found.append((tag >> 3, data[at:at + length]))
            at += length
    return found


def reflect(channel, version, *requests):
    call = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
    return [dict(fields(answer)) for answer in call(iter(requests), timeout=PATIENCE)]


def learn(channel, pool, symbol):
    (answer,) = reflect(channel, "v1", text_field(4, symbol))
    files = [descriptor_pb2.FileDescriptorProto.FromString(value) for number, value in fields(answer[4]) if number == 1]
    for file in reversed(files):  # imports come after the file that has them
        pool.Add(file)


CHANNEL = grpc.insecure_channel(ADDRESS)
POOL = descriptor_pool.DescriptorPool()
learn(CHANNEL, POOL, "probe.v1.Probe")
learn(CHANNEL, POOL, "grpc.health.v1.Health")


def message(name):
    descriptor = POOL.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(POOL).GetPrototype(descriptor)


Request, Reply = message("probe.v1.ProbeRequest"), message("probe.v1.ProbeReply")


def method(name, kind="unary_unary", channel=CHANNEL):
    return getattr(channel, kind)(f"/probe.v1.Probe/{name}", request_serializer=Request.SerializeToString, response_deserializer=Reply.FromString)


def fails(action):
    try:
        action()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call did not fail")


def equal(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def unary():
    reply = method("Unary")(Request(text="hé", payload=b"\7" * 1_500_000), timeout=PATIENCE)
    equal((reply.text, len(reply.payload)), ("hé", 1_500_000))


def server_stream():
    replies = method("ServerStream", "unary_stream")(Request(replies=5000), timeout=PATIENCE)
    equal([reply.index for reply in replies], list(range(5000)))


def client_stream():
    reply = method("ClientStream", "stream_unary")((Request(payload=b"abc") for _ in range(1000)), timeout=PATIENCE)
    equal(reply.text, "1000 messages, 3000 bytes")


def duplex():
    replies = method("Duplex", "stream_stream")((Request(text=f"m{i}") for i in range(100)), timeout=PATIENCE)
    equal([reply.text for reply in replies], [f"m{i}" for i in range(100)])


def metadata():
    reply, call = method("Unary").with_call(
        Request(text="headers"), timeout=PATIENCE, metadata=(("x-one", "1"), ("x-raw-bin", b"\0\x09\xff"), ("x-raw-bin", b"\x08")))
    equal((reply.headers["x-one"], reply.headers["x-raw-bin"]), ("1", "0009FF;08"))
    headers, trailers = dict(call.initial_metadata()), dict(call.trailing_metadata())
    equal((headers["x-early"], headers["x-early-bin"]), ("yes", b"\0\1\xff"))
    equal((trailers["x-trailer"], trailers["x-trailer-bin"]), ("after", b"\1\2\xfa"))


def deadline():
    error = fails(lambda: method("Unary")(Request(ending={"hang": True}), timeout=0.3))
    equal(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)


def cancellation():
    call = method("ServerStream", "unary_stream")(Request(text="py", replies=1, ending={"hang": True}), timeout=PATIENCE)
    next(call)
    call.cancel()
    equal(fails(lambda: next(call)).code(), grpc.StatusCode.CANCELLED)


def gzip():
    with grpc.insecure_channel(ADDRESS, compression=grpc.Compression.Gzip) as channel:
        reply = method("Unary", channel=channel)(Request(text="gzip", payload=b"\5" * 1_000_000), timeout=PATIENCE)
        equal(reply.payload, b"\5" * 1_000_000)


def request_too_large():
    error = fails(lambda: method("Unary")(Request(payload=bytes(5_000_000)), timeout=PATIENCE))
    equal(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)


def response_too_large():
    error = fails(lambda: method("Unary")(Request(reply_bytes=5_000_000), timeout=PATIENCE))
    equal(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)


def error_text():
    error = fails(lambda: method("Unary")(Request(ending={"code": 9, "message": "Größe 100% → 日本語 🚀"}), timeout=PATIENCE))
    equal((error.code(), error.details()), (grpc.StatusCode.FAILED_PRECONDITION, "Größe 100% → 日本語 🚀"))
    equal(dict(error.trailing_metadata())["x-why"], "because")


def error_after_messages():
    call, count = method("ServerStream", "unary_stream")(Request(replies=3, ending={"code": 15, "message": "half"}), timeout=PATIENCE), 0
    try:
        for _ in call:
            count += 1
    except grpc.RpcError as error:
        equal(error.code(), grpc.StatusCode.DATA_LOSS)
    equal(count, 3)


def rich_details():
    error = fails(lambda: method("Unary")(Request(ending={"code": 3, "message": "bad", "rich": True}), timeout=PATIENCE))
    status = dict(fields(dict(error.trailing_metadata())["grpc-status-details-bin"]))
    equal((status[1], status[2]), (3, b"bad"))
    detail = dict(fields(status[3]))
    equal(detail[1], b"type.googleapis.com/google.rpc.BadRequest")
    equal(dict(fields(dict(fields(detail[2]))[1]))[1], b"text")


def unimplemented():
    equal(fails(lambda: method("Forgotten")(Request(), timeout=PATIENCE)).code(), grpc.StatusCode.UNIMPLEMENTED)
    equal(fails(lambda: method("NoSuchMethod")(Request(), timeout=PATIENCE)).code(), grpc.StatusCode.UNIMPLEMENTED)


def health():
    ask, answer = message("grpc.health.v1.HealthCheckRequest"), message("grpc.health.v1.HealthCheckResponse")
    check = CHANNEL.unary_unary("/grpc.health.v1.Health/Check", ask.SerializeToString, answer.FromString)
    equal(check(ask(), timeout=PATIENCE).status, 1)
    equal(fails(lambda: check(ask(service="nobody"), timeout=PATIENCE)).code(), grpc.StatusCode.NOT_FOUND)
    watch = CHANNEL.unary_stream("/grpc.health.v1.Health/Watch", ask.SerializeToString, answer.FromString)(ask(service="nobody"), timeout=PATIENCE)
    equal(next(watch).status, 3)
    watch.cancel()


def reflection(version):
    services, symbol, file, unknown, extension = reflect(
        CHANNEL, version, text_field(7, ""), text_field(4, "probe.v1.ProbeReply.Kind"), text_field(3, "probe.proto"),
        text_field(4, "no.such.Symbol"), text_field(5, text_field(1, "probe.v1.ProbeRequest") + b"\x10\x07"))
    names = [dict(fields(value))[1].decode() for number, value in fields(services[6]) if number == 1]
    for name in ("grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection", "probe.v1.Probe"):
        assert name in names, names
    equal(symbol[4], file[4])
    equal(dict(fields(unknown[7]))[1], 5)
    equal(dict(fields(extension[7]))[1], 5)


CHECKS = [
    unary, server_stream, client_stream, duplex, metadata, deadline, cancellation, gzip, request_too_large, response_too_large,
    error_text, error_after_messages, rich_details, unimplemented, health,
]
failed = 0
for check_name, run in [(check.__name__, check) for check in CHECKS] + [
        ("reflection_v1", lambda: reflection("v1")), ("reflection_v1alpha", lambda: reflection("v1alpha"))]:
    try:
        run()
        print(f"ok {check_name}", flush=True)
    except Exception:  # every failure is reported, whatever it is
        failed += 1
        print(f"FAILED {check_name}: {traceback.format_exc()}", flush=True)
CHANNEL.close()
sys.exit(1 if failed else 0)
