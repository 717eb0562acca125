using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using MultiCluster.Engine.Tests.Grpc.Protos;
using Ending = MultiCluster.Engine.Tests.Grpc.Protos.ProbeRequest.Types.Ending;

namespace MultiCluster.Engine.Tests.Grpc;

public sealed class FailureTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData("plain")]
    [InlineData("Größe 100% → 日本語 🚀\r\n\ttab")]
    [InlineData("%41%zz%")]
    public async Task Handler_ThrowsRpcException_ClientSeesCodeTextAndTrailers(string text)
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();

        RpcException e = await FailsAsync(server, new Ending { Code = (int)StatusCode.FailedPrecondition, Message = text });

        Assert.Equal(StatusCode.FailedPrecondition, e.StatusCode);
        Assert.Equal(text, e.Status.Detail);
        Assert.Equal("because", e.Trailers.GetValue("x-why"));
        Assert.Equal("after", e.Trailers.GetValue("x-trailer"));
    }

    [Fact]
    public async Task Handler_FailsAfterMessages_MessagesArriveBeforeTheStatus()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();
        using AsyncServerStreamingCall<ProbeReply> call = server.Probe.ServerStream(
            new ProbeRequest { Replies = 3, Ending = new Ending { Code = (int)StatusCode.DataLoss, Message = "half" } });

        for (int i = 0; i < 3; i++)
        {
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
        }

        RpcException e = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
        Assert.Equal((StatusCode.DataLoss, "half"), (e.StatusCode, e.Status.Detail));
        Assert.Equal(StatusCode.DataLoss, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task Handler_ThrowsRichStatus_DetailsArrive()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();

        RpcException e = await FailsAsync(server, new Ending { Code = (int)StatusCode.InvalidArgument, Message = "bad", Rich = true });

        Google.Rpc.Status status = e.GetRpcStatus()!;
        Assert.Equal(((int)StatusCode.InvalidArgument, "bad"), (status.Code, status.Message));
        Assert.Equal("text", Assert.Single(status.Details).Unpack<Google.Rpc.BadRequest>().FieldViolations[0].Field);
    }

    [Theory]
    [InlineData(false, "Exception was thrown by handler.")]
    [InlineData(true, "Exception was thrown by handler. FormatException: the password is 1234")]
    public async Task Handler_Crashes_TextIsToldOnlyWhenAskedFor(bool detailed, string expected)
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync(o => o.EnableDetailedErrors = detailed);

        RpcException e = await FailsAsync(server, new Ending { Crash = "the password is 1234" });

        Assert.Equal((StatusCode.Unknown, expected), (e.StatusCode, e.Status.Detail));
    }

    [Fact]
    public async Task Method_NotOverridden_IsUnimplemented()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();

        RpcException e = await Assert.ThrowsAsync<RpcException>(() => server.Probe.ForgottenAsync(new ProbeRequest()).ResponseAsync.WaitAsync(Patience));

        Assert.Equal(StatusCode.Unimplemented, e.StatusCode);
    }

    [Theory]
    [InlineData("probe.v1.Probe", "Nothing", "Method is unimplemented.")]
    [InlineData("nobody.v1.Here", "Nothing", "Service is unimplemented.")]
    public async Task Method_Unknown_IsUnimplemented(string service, string method, string expected)
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();
        var unknown = new Method<string, string>(MethodType.Unary, service, method, Marshallers.StringMarshaller, Marshallers.StringMarshaller);

        RpcException e = await Assert.ThrowsAsync<RpcException>(
            () => server.Channel.CreateCallInvoker().AsyncUnaryCall(unknown, null, default, "x").ResponseAsync.WaitAsync(Patience));

        Assert.Equal((StatusCode.Unimplemented, expected), (e.StatusCode, e.Status.Detail));
    }

    [Fact]
    public async Task Request_LargerThanTheServerTakes_IsResourceExhausted()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync(o => o.MaxReceiveMessageSize = 1000);

        RpcException e = await Assert.ThrowsAsync<RpcException>(
            () => server.Probe.UnaryAsync(new ProbeRequest { Payload = ByteString.CopyFrom(new byte[3_000_000]) }).ResponseAsync.WaitAsync(Patience));

        Assert.Equal(StatusCode.ResourceExhausted, e.StatusCode);
    }

    [Fact]
    public async Task Response_LargerThanTheServerMaySend_IsResourceExhausted()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync(o => o.MaxSendMessageSize = 1000);

        RpcException e = await Assert.ThrowsAsync<RpcException>(() => server.Probe.UnaryAsync(new ProbeRequest { ReplyBytes = 1001 }).ResponseAsync.WaitAsync(Patience));

        Assert.Equal(StatusCode.ResourceExhausted, e.StatusCode);
    }

    [Fact]
    public async Task Response_LargerThanTheClientTakes_IsResourceExhausted()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();

        RpcException e = await Assert.ThrowsAsync<RpcException>(
            () => server.Probe.UnaryAsync(new ProbeRequest { ReplyBytes = 4 * 1024 * 1024 }).ResponseAsync.WaitAsync(Patience));

        Assert.Equal(StatusCode.ResourceExhausted, e.StatusCode);
    }

    [Fact]
    public async Task Request_LargerThanTheClientMaySend_IsResourceExhausted()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();
        using GrpcChannel channel = GrpcChannel.ForAddress(server.Address, new GrpcChannelOptions { MaxSendMessageSize = 10 });

        RpcException e = await Assert.ThrowsAsync<RpcException>(
            () => new Probe.ProbeClient(channel).UnaryAsync(new ProbeRequest { Text = "more than ten bytes" }).ResponseAsync.WaitAsync(Patience));

        Assert.Equal(StatusCode.ResourceExhausted, e.StatusCode);
    }

    [Fact]
    public async Task Server_NotThere_IsUnavailable()
    {
        using var taken = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
        taken.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));   // bound, never listening: connections are refused
        using GrpcChannel channel = GrpcChannel.ForAddress($"http://127.0.0.1:{((System.Net.IPEndPoint)taken.LocalEndPoint!).Port}");

        RpcException e = await Assert.ThrowsAsync<RpcException>(() => new Probe.ProbeClient(channel).UnaryAsync(new ProbeRequest()).ResponseAsync.WaitAsync(Patience));

        Assert.Equal(StatusCode.Unavailable, e.StatusCode);
    }

    [Fact]
    public async Task ResponseHeaders_OfAFailedCall_AreThoseThatCame()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();
        using AsyncUnaryCall<ProbeReply> call = server.Probe.UnaryAsync(new ProbeRequest { Ending = new Ending { Code = 9, Message = "no" } });

        await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync.WaitAsync(Patience));

        // No message was sent, so the trailers travelled in the header block.
        Assert.Equal("after", (await call.ResponseHeadersAsync.WaitAsync(Patience)).GetValue("x-trailer"));
        Assert.Equal((StatusCode.FailedPrecondition, "no"), (call.GetStatus().StatusCode, call.GetStatus().Detail));
    }

    private static Task<RpcException> FailsAsync(GrpcTestServer server, Ending ending) =>
        Assert.ThrowsAsync<RpcException>(() => server.Probe.UnaryAsync(new ProbeRequest { Ending = ending }).ResponseAsync.WaitAsync(Patience));
}
