using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Engine.Grpc.Server;
using MultiCluster.Engine.Tests.Grpc.Protos;
using MultiCluster.TestSupport;
using Ending = MultiCluster.Engine.Tests.Grpc.Protos.ProbeRequest.Types.Ending;

namespace MultiCluster.Engine.Tests.Grpc;

public sealed class DeadlineAndCancellationTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly ProbeRequest Hang = new() { Text = "hang", Ending = new Ending { Hang = true } };

    private static DateTime In(TimeSpan wait) => TimeProvider.System.GetUtcNow().UtcDateTime + wait;

    [Fact]
    public async Task Deadline_PassesOnTheServer_EndsTheCallThereAndTellsTheClient()
    {
        var time = new ManualTimeProvider();
        await using GrpcTestServer server = await GrpcTestServer.StartAsync(services: s => s.AddSingleton(new GrpcClock(time)));
        using AsyncServerStreamingCall<ProbeReply> call = server.Probe.ServerStream(
            new ProbeRequest { Replies = 2, Ending = new Ending { Hang = true } }, deadline: In(TimeSpan.FromMinutes(10)));
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
        await server.Record.Hanging.Task.WaitAsync(Patience);

        time.Advance(TimeSpan.FromMinutes(9));
        Assert.False(server.Record.CancelSeen.Task.IsCompleted);
        time.Advance(TimeSpan.FromMinutes(1));

        RpcException e = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
        Assert.Equal(StatusCode.DeadlineExceeded, e.StatusCode);
        await server.Record.CancelSeen.Task.WaitAsync(Patience);
        Assert.IsAssignableFrom<InvalidOperationException>(await server.Record.LateWrite.Task.WaitAsync(Patience));
    }

    [Fact]
    public async Task Deadline_PassesBeforeAnyMessage_TellsTheClient()
    {
        var time = new ManualTimeProvider();
        await using GrpcTestServer server = await GrpcTestServer.StartAsync(services: s => s.AddSingleton(new GrpcClock(time)));
        using AsyncUnaryCall<ProbeReply> call = server.Probe.UnaryAsync(Hang, deadline: In(TimeSpan.FromMinutes(10)));
        await server.Record.Hanging.Task.WaitAsync(Patience);

        time.Advance(TimeSpan.FromMinutes(10));

        Assert.Equal(StatusCode.DeadlineExceeded, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync.WaitAsync(Patience))).StatusCode);
    }

    [Fact]
    public async Task Deadline_PassesWhileAWriteWaitsForTheReader_EndsTheHandler()
    {
        var time = new ManualTimeProvider();
        await using GrpcTestServer server = await GrpcTestServer.StartAsync(services: s => s.AddSingleton(new GrpcClock(time)));
        using AsyncServerStreamingCall<ProbeReply> call = server.Probe.ServerStream(
            new ProbeRequest { Replies = 2_000, ReplyBytes = 64_000, Ending = new Ending { Hang = true } }, deadline: In(TimeSpan.FromMinutes(10)));
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
        await Assert.ThrowsAsync<TimeoutException>(() => server.Record.StreamWritten.Task.WaitAsync(TimeSpan.FromSeconds(1)));

        time.Advance(TimeSpan.FromMinutes(10));

        await Assert.ThrowsAsync<RpcException>(async () =>
        {
            while (await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience))
            {
            }
        });
        Assert.False(server.Record.StreamWritten.Task.IsCompleted);
    }

    [Fact]
    public async Task Deadline_PassesOnTheClient_FailsTheCallAndCancelsTheServer()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();

        RpcException e = await Assert.ThrowsAsync<RpcException>(
            () => server.Probe.UnaryAsync(Hang, deadline: In(TimeSpan.FromSeconds(3))).ResponseAsync.WaitAsync(Patience));

        Assert.Equal(StatusCode.DeadlineExceeded, e.StatusCode);
        await server.Record.CancelSeen.Task.WaitAsync(Patience);
    }

    [Fact]
    public async Task Deadline_AlreadyPast_FailsWithoutACall()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();

        RpcException e = await Assert.ThrowsAsync<RpcException>(
            () => server.Probe.UnaryAsync(Hang, deadline: In(TimeSpan.FromSeconds(-1))).ResponseAsync.WaitAsync(Patience));

        Assert.Equal(StatusCode.DeadlineExceeded, e.StatusCode);
        Assert.False(server.Record.Hanging.Task.IsCompleted);
    }

    [Fact]
    public async Task Token_Fires_CancelsBothSides()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();
        using var stop = new CancellationTokenSource();
        using AsyncUnaryCall<ProbeReply> call = server.Probe.UnaryAsync(Hang, cancellationToken: stop.Token);
        await server.Record.Hanging.Task.WaitAsync(Patience);

        await stop.CancelAsync();

        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync.WaitAsync(Patience))).StatusCode);
        await server.Record.CancelSeen.Task.WaitAsync(Patience);
    }

    [Fact]
    public async Task Dispose_OfARunningStream_CancelsTheServerAndItsWrites()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();
        AsyncServerStreamingCall<ProbeReply> call = server.Probe.ServerStream(new ProbeRequest { Replies = 1, Ending = new Ending { Hang = true } });
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));

        call.Dispose();

        await server.Record.CancelSeen.Task.WaitAsync(Patience);
        Assert.NotNull(await server.Record.LateWrite.Task.WaitAsync(Patience));
        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None))).StatusCode);
    }

    [Fact]
    public async Task MoveNext_TokenFires_CancelsTheCall()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();
        using var stop = new CancellationTokenSource();
        using AsyncServerStreamingCall<ProbeReply> call = server.Probe.ServerStream(Hang);
        Task<bool> next = call.ResponseStream.MoveNext(stop.Token);
        await server.Record.Hanging.Task.WaitAsync(Patience);

        await stop.CancelAsync();

        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(() => next.WaitAsync(Patience))).StatusCode);
        await server.Record.CancelSeen.Task.WaitAsync(Patience);
    }

    [Fact]
    public async Task Channel_Disposed_CancelsItsCalls()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();
        GrpcChannel channel = GrpcChannel.ForAddress(server.Address);
        using AsyncUnaryCall<ProbeReply> call = new Probe.ProbeClient(channel).UnaryAsync(Hang);
        await server.Record.Hanging.Task.WaitAsync(Patience);

        channel.Dispose();

        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync.WaitAsync(Patience))).StatusCode);
        Assert.Throws<ObjectDisposedException>(channel.CreateCallInvoker);
    }

    [Fact]
    public async Task Cancellation_WhenAskedFor_ThrowsOperationCanceled()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();
        using GrpcChannel channel = GrpcChannel.ForAddress(server.Address, new GrpcChannelOptions { ThrowOperationCanceledOnCancellation = true });
        using var stop = new CancellationTokenSource();
        using AsyncUnaryCall<ProbeReply> call = new Probe.ProbeClient(channel).UnaryAsync(Hang, cancellationToken: stop.Token);
        await server.Record.Hanging.Task.WaitAsync(Patience);

        await stop.CancelAsync();

        OperationCanceledException e = await Assert.ThrowsAsync<OperationCanceledException>(() => call.ResponseAsync.WaitAsync(Patience));
        Assert.Equal(stop.Token, e.CancellationToken);
    }

    [Fact]
    public async Task Duplex_ServerEndsEarly_WriterLearnsTheStatus()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();
        using AsyncDuplexStreamingCall<ProbeRequest, ProbeReply> call = server.Probe.Duplex();
        await call.RequestStream.WriteAsync(new ProbeRequest { Ending = new Ending { Code = (int)StatusCode.Aborted, Message = "enough" } }).WaitAsync(Patience);

        RpcException read = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
        RpcException write = await Assert.ThrowsAsync<RpcException>(() => call.RequestStream.WriteAsync(new ProbeRequest()).WaitAsync(Patience));

        Assert.Equal((StatusCode.Aborted, "enough"), (read.StatusCode, read.Status.Detail));
        Assert.Equal(StatusCode.Aborted, write.StatusCode);
    }
}
