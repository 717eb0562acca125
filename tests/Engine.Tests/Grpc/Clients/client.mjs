// Calls the probe server with @grpc/grpc-js and prints one line per check. Arguments: address, folder of probe.proto, folder of the engine's protos.
import assert from 'node:assert/strict';
import path from 'node:path';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';
import protobuf from 'protobufjs';

const [address, probeProtos, engineProtos] = process.argv.slice(2);
const load = (root, file) => grpc.loadPackageDefinition(
  loader.loadSync(path.join(root, file), { includeDirs: [root], keepCase: true, defaults: true, enums: String, oneofs: true }));
const credentials = grpc.credentials.createInsecure();
const { Probe } = load(probeProtos, 'probe.proto').probe.v1;
const probe = new Probe(address, credentials);
const patience = () => ({ deadline: Date.now() + 15_000 });

const unary = (client, method, request, metadata = new grpc.Metadata(), options = patience()) => new Promise((resolve, reject) => {
  const seen = {};
  const call = client[method](request, metadata, options, (error, reply) => {
    // The status comes after the callback, and trailers come with the status.
    call.on('status', (status) => error ? reject(error) : resolve({ reply, ...seen, trailers: status.metadata }));
    if (error) reject(error);
  });
  call.on('metadata', (headers) => { seen.headers = headers; });
});
const collect = (call) => new Promise((resolve, reject) => {
  const all = [];
  call.on('data', (one) => all.push(one));
  call.on('error', reject);
  call.on('end', () => resolve(all));
});
const fails = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('the call did not fail');
};

const checks = {
  async unary() {
    const { reply } = await unary(probe, 'Unary', { text: 'hé', payload: Buffer.alloc(1_500_000, 7) });
    assert.equal(reply.text, 'hé');
    assert.equal(reply.payload.length, 1_500_000);
  },
  async serverStream() {
    const replies = await collect(probe.ServerStream({ text: 's', replies: 5000 }, patience()));
    assert.deepEqual(replies.map((r) => r.index), [...Array(5000).keys()]);
  },
  async clientStream() {
    const reply = await new Promise((resolve, reject) => {
      const call = probe.ClientStream(patience(), (error, value) => error ? reject(error) : resolve(value));
      for (let i = 0; i < 1000; i++) call.write({ payload: Buffer.from([1, 2, 3]) });
      call.end();
    });
    assert.equal(reply.text, '1000 messages, 3000 bytes');
  },
  async duplex() {
    const call = probe.Duplex(patience());
    const all = collect(call);
    for (let i = 0; i < 100; i++) call.write({ text: `m${i}` });
    call.end();
    assert.deepEqual((await all).map((r) => r.text), [...Array(100).keys()].map((i) => `m${i}`));
  },
  async metadata() {
    const metadata = new grpc.Metadata();
    metadata.set('x-one', '1');
    metadata.add('x-raw-bin', Buffer.from([0, 9, 255]));
    metadata.add('x-raw-bin', Buffer.from([8]));
    const { reply, headers, trailers } = await unary(probe, 'Unary', { text: 'headers' }, metadata);
    assert.equal(reply.headers['x-one'], '1');
    assert.equal(reply.headers['x-raw-bin'], '0009FF;08');
    assert.deepEqual(headers.get('x-early'), ['yes']);
    assert.deepEqual(headers.get('x-early-bin')[0], Buffer.from([0, 1, 255]));
    assert.deepEqual(trailers.get('x-trailer'), ['after']);
    assert.deepEqual(trailers.get('x-trailer-bin')[0], Buffer.from([1, 2, 250]));
  },
  async deadline() {
    const error = await fails(unary(probe, 'Unary', { ending: { hang: true } }, new grpc.Metadata(), { deadline: Date.now() + 300 }));
    assert.equal(error.code, grpc.status.DEADLINE_EXCEEDED);
  },
  async cancellation() {
    const call = probe.ServerStream({ text: 'js', replies: 1, ending: { hang: true } }, patience());
    const error = await new Promise((resolve) => {
      call.on('data', () => call.cancel());
      call.on('error', resolve);
    });
    assert.equal(error.code, grpc.status.CANCELLED);
  },
  async gzip() {
    const client = new Probe(address, credentials, { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip });
    const { reply } = await unary(client, 'Unary', { text: 'gzip', payload: Buffer.alloc(1_000_000, 5) });
    assert.equal(reply.payload.length, 1_000_000);
    assert.ok(reply.payload.every((b) => b === 5));
    client.close();
  },
  async requestTooLarge() {
    const error = await fails(unary(probe, 'Unary', { payload: Buffer.alloc(5_000_000) }));
    assert.equal(error.code, grpc.status.RESOURCE_EXHAUSTED);
  },
  async responseTooLarge() {
    const error = await fails(unary(probe, 'Unary', { reply_bytes: 5_000_000 }));
    assert.equal(error.code, grpc.status.RESOURCE_EXHAUSTED);
  },
  async errorText() {
    const error = await fails(unary(probe, 'Unary', { ending: { code: 9, message: 'Größe 100% → 日本語 🚀' } }));
    assert.equal(error.code, grpc.status.FAILED_PRECONDITION);
    assert.equal(error.details, 'Größe 100% → 日本語 🚀');
    assert.deepEqual(error.metadata.get('x-why'), ['because']);
  },
  async errorAfterMessages() {
    const call = probe.ServerStream({ replies: 3, ending: { code: 15, message: 'half' } }, patience());
    let count = 0;
    call.on('data', () => count++);
    const error = await new Promise((resolve) => call.on('error', resolve));
    assert.equal(error.code, grpc.status.DATA_LOSS);
    // This client reports a failure at once and drops the messages that it has not handed out yet.
    assert.ok(count <= 3, `${count}`);
  },
  async richDetails() {
    const root = new protobuf.Root();
    root.resolvePath = (_, target) => path.join(target.startsWith('google/protobuf') ? '' : engineProtos, target);
    root.loadSync(['google/rpc/status.proto', 'google/rpc/error_details.proto']);
    const error = await fails(unary(probe, 'Unary', { ending: { code: 3, message: 'bad', rich: true } }));
    const status = root.lookupType('google.rpc.Status').decode(error.metadata.get('grpc-status-details-bin')[0]);
    assert.equal(status.code, 3);
    assert.equal(status.details[0].type_url ?? status.details[0].typeUrl, 'type.googleapis.com/google.rpc.BadRequest');
    const detail = root.lookupType('google.rpc.BadRequest').decode(status.details[0].value);
    assert.equal(detail.fieldViolations[0].field, 'text');
  },
  async unimplemented() {
    assert.equal((await fails(unary(probe, 'Forgotten', {}))).code, grpc.status.UNIMPLEMENTED);
  },
  async health() {
    const { Health } = load(engineProtos, 'grpc/health/v1/health.proto').grpc.health.v1;
    const health = new Health(address, credentials);
    assert.equal((await unary(health, 'Check', { service: '' })).reply.status, 'SERVING');
    assert.equal((await fails(unary(health, 'Check', { service: 'nobody' }))).code, grpc.status.NOT_FOUND);
    const watch = health.Watch({ service: 'nobody' }, patience());
    watch.on('error', () => {});
    const first = await new Promise((resolve) => watch.on('data', resolve));
    assert.equal(first.status, 'SERVICE_UNKNOWN');
    watch.cancel();
    health.close();
  },
  reflectionV1: () => reflection('v1'),
  reflectionV1Alpha: () => reflection('v1alpha'),
};

async function reflection(version) {
  const { ServerReflection } = load(engineProtos, `grpc/reflection/${version}/reflection.proto`).grpc.reflection[version];
  const client = new ServerReflection(address, credentials);
  const call = client.ServerReflectionInfo(patience());
  const all = collect(call);
  call.write({ list_services: '' });
  call.write({ file_containing_symbol: 'probe.v1.Probe.Unary' });
  call.write({ file_by_filename: 'probe.proto' });
  call.write({ file_containing_symbol: 'no.such.Symbol' });
  call.write({ file_containing_extension: { containing_type: 'probe.v1.ProbeRequest', extension_number: 7 } });
  call.end();
  const [services, symbol, file, unknown, extension] = await all;
  const names = services.list_services_response.service.map((s) => s.name);
  assert.ok(['grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection', 'probe.v1.Probe']
    .every((name) => names.includes(name)), names.join());
  const described = loader.loadFileDescriptorSetFromBuffer(fileSet(symbol.file_descriptor_response.file_descriptor_proto));
  assert.equal(described['probe.v1.Probe'].Unary.path, '/probe.v1.Probe/Unary');
  assert.deepEqual(file.file_descriptor_response, symbol.file_descriptor_response);
  assert.equal(unknown.error_response.error_code, grpc.status.NOT_FOUND);
  assert.equal(extension.error_response.error_code, grpc.status.NOT_FOUND);
  client.close();
}

/** A google.protobuf.FileDescriptorSet of serialised files: field 1, repeated. */
function fileSet(files) {
  const writer = protobuf.Writer.create();
  for (const file of files) writer.uint32(10).bytes(file);
  return Buffer.from(writer.finish());
}

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${name}: ${error.stack}`);
  }
}
probe.close();
process.exit(failed === 0 ? 0 : 1);
