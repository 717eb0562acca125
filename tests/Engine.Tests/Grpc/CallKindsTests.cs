using Google.Protobuf;
using Grpc.Core;
using MultiCluster.Engine.Tests.Grpc.Protos;

namespace MultiCluster.Engine.Tests.Grpc;

public sealed class CallKindsTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private GrpcTestServer _server = null!;

    public async Task InitializeAsync() => _server = await GrpcTestServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Unary_Answered_GivesMessageHeadersAndTrailers()
    {
        using AsyncUnaryCall<ProbeReply> call = _server.Probe.UnaryAsync(
            new ProbeRequest { Text = "headers" }, new Metadata { { "x-one", "1" }, { "X-Two", "2" }, { "x-raw-bin", [0, 9, 255] } });

        ProbeReply reply = await call.ResponseAsync.WaitAsync(Patience);
        Metadata headers = await call.ResponseHeadersAsync.WaitAsync(Patience);

        Assert.Equal("headers", reply.Text);
        Assert.Equal(new Dictionary<string, string> { ["x-one"] = "1", ["x-two"] = "2", ["x-raw-bin"] = "0009FF" }, reply.Headers);
        Assert.Equal("yes", headers.GetValue("x-early"));
        Assert.Equal([0, 1, 255], headers.GetValueBytes("x-early-bin"));
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
        Assert.Equal("after", call.GetTrailers().GetValue("x-trailer"));
        Assert.Equal([1, 2, 250], call.GetTrailers().GetValueBytes("x-trailer-bin"));
    }

    [Fact]
    public async Task Unary_SameKeyTwice_BothValuesArrive()
    {
        ProbeReply reply = await _server.Probe.UnaryAsync(
            new ProbeRequest(), new Metadata { { "x-many-bin", [1] }, { "x-many-bin", [2] } }).ResponseAsync.WaitAsync(Patience);

        Assert.Equal("01;02", reply.Headers["x-many-bin"]);
    }

    [Fact]
    public void Unary_Blocking_Answers() => Assert.Equal("now", _server.Probe.Unary(new ProbeRequest { Text = "now" }).Text);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1_500_000)]
    [InlineData(4 * 1024 * 1024 - 64)]
    public async Task Unary_PayloadOfAnySize_ComesBackUnchanged(int size)
    {
        byte[] payload = new byte[size];
        new Random(size).NextBytes(payload);

        ProbeReply reply = await _server.Probe.UnaryAsync(new ProbeRequest { Payload = ByteString.CopyFrom(payload) }).ResponseAsync.WaitAsync(Patience);

        Assert.True(reply.Payload.Span.SequenceEqual(payload));
    }

    [Fact]
    public async Task ServerStream_HundredThousandSmallMessages_AllArriveInOrder()
    {
        using AsyncServerStreamingCall<ProbeReply> call = _server.Probe.ServerStream(new ProbeRequest { Text = "s", Replies = 100_000 });

        int expected = 0;
        while (await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience))
        {
            Assert.Equal(expected++, call.ResponseStream.Current.Index);
        }

        Assert.Equal(100_000, expected);
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task ServerStream_LargeMessages_AllArrive()
    {
        using AsyncServerStreamingCall<ProbeReply> call = _server.Probe.ServerStream(new ProbeRequest { Replies = 20, ReplyBytes = 1_500_000 });

        List<int> sizes = [];
        await foreach (ProbeReply reply in call.ResponseStream.ReadAllAsync().WithCancellation(new CancellationTokenSource(Patience).Token))
        {
            sizes.Add(reply.Payload.Length);
        }

        Assert.Equal(Enumerable.Repeat(1_500_000, 20), sizes);
    }

    [Fact]
    public async Task ServerStream_NoMessages_EndsWithTheStatusAlone()
    {
        using AsyncServerStreamingCall<ProbeReply> call = _server.Probe.ServerStream(new ProbeRequest());

        Assert.False(await call.ResponseStream.MoveNext().WaitAsync(Patience));
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task ClientStream_ManyMessages_AreAllCounted()
    {
        using AsyncClientStreamingCall<ProbeRequest, ProbeReply> call = _server.Probe.ClientStream();
        for (int i = 0; i < 20_000; i++)
        {
            await call.RequestStream.WriteAsync(new ProbeRequest { Payload = ByteString.CopyFrom(1, 2, 3) }).WaitAsync(Patience);
        }

        await call.RequestStream.WriteAsync(new ProbeRequest { Payload = ByteString.CopyFrom(new byte[1_500_000]) }).WaitAsync(Patience);
        await call.RequestStream.CompleteAsync();

        Assert.Equal("20001 messages, 1560000 bytes", (await call.ResponseAsync.WaitAsync(Patience)).Text);
    }

    [Fact]
    public async Task Duplex_EachRequest_IsAnsweredBeforeTheNext()
    {
        using AsyncDuplexStreamingCall<ProbeRequest, ProbeReply> call = _server.Probe.Duplex();
        for (int i = 0; i < 100; i++)
        {
            await call.RequestStream.WriteAsync(new ProbeRequest { Text = $"m{i}" }).WaitAsync(Patience);
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
            Assert.Equal($"m{i}", call.ResponseStream.Current.Text);
        }

        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
    }

    [Fact]
    public async Task ServerStream_SlowReader_HoldsTheWriterBack()
    {
        using AsyncServerStreamingCall<ProbeReply> call = _server.Probe.ServerStream(new ProbeRequest { Replies = 2_000, ReplyBytes = 64_000 });
        Assert.True(await call.ResponseStream.MoveNext().WaitAsync(Patience));

        // Nobody reads now: what windows and buffers hold is far below the 128 MB of the stream.
        await Assert.ThrowsAsync<TimeoutException>(() => _server.Record.StreamWritten.Task.WaitAsync(TimeSpan.FromSeconds(1)));
        Assert.InRange(Volatile.Read(ref _server.Record.MessagesWritten), 1, 1_000);

        int count = 1;
        while (await call.ResponseStream.MoveNext().WaitAsync(Patience))
        {
            count++;
        }

        Assert.Equal(2_000, count);
        await _server.Record.StreamWritten.Task.WaitAsync(Patience);
    }

    [Fact]
    public async Task Write_WhileAnotherIsUnderWay_IsRefused()
    {
        using AsyncDuplexStreamingCall<ProbeRequest, ProbeReply> call = _server.Probe.Duplex();
        var large = new ProbeRequest { Payload = ByteString.CopyFrom(new byte[4_000_000]) };

        Task first = call.RequestStream.WriteAsync(large);
        await Assert.ThrowsAsync<InvalidOperationException>(() => call.RequestStream.WriteAsync(large));
        await first.WaitAsync(Patience);
        await call.RequestStream.CompleteAsync();
        await Assert.ThrowsAsync<InvalidOperationException>(() => call.RequestStream.WriteAsync(large));
    }
}
