using System.Collections.Concurrent;
using System.Security.Claims;
using System.Text.Encodings.Web;
using Google.Protobuf;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiCluster.Engine.Tests.Grpc.Protos;
using Ending = MultiCluster.Engine.Tests.Grpc.Protos.ProbeRequest.Types.Ending;

namespace MultiCluster.Engine.Tests.Grpc;

public sealed class ServerFeatureTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task Gzip_EitherWay_IsUsedAndUndone(bool request, bool response)
    {
        var encodings = new ConcurrentQueue<(string Request, string Response)>();
        await using GrpcTestServer server = await GrpcTestServer.StartAsync(
            grpc => grpc.ResponseCompressionAlgorithm = response ? "gzip" : null,
            map: app =>
            {
                app.Use(async (http, next) =>
                {
                    await next(http);
                    encodings.Enqueue((http.Request.Headers["grpc-encoding"].ToString(), http.Response.Headers["grpc-encoding"].ToString()));
                });
                app.MapGrpcService<ProbeService>();
            });
        var headers = new Metadata();
        if (request)
        {
            headers.Add("grpc-internal-encoding-request", "gzip");
        }

        using AsyncDuplexStreamingCall<ProbeRequest, ProbeReply> call = server.Probe.Duplex(headers);
        foreach (int size in new[] { 0, 1, 1_500_000, 10 })
        {
            call.RequestStream.WriteOptions = new WriteOptions(size == 10 ? WriteFlags.NoCompress : default);
            await call.RequestStream.WriteAsync(new ProbeRequest { Payload = ByteString.CopyFrom(new byte[size]) }).WaitAsync(Patience);
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
            Assert.Equal(size, call.ResponseStream.Current.Payload.Length);
        }

        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
        await server.DisposeAsync();
        Assert.Equal([(request ? "gzip" : "", response ? "gzip" : "")], encodings);
    }

    [Fact]
    public async Task Authorization_WithoutUser_IsUnauthenticated_WithUserIsServed()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync(
            services: services =>
            {
                services.AddAuthentication("test").AddScheme<AuthenticationSchemeOptions, HeaderUser>("test", null);
                services.AddAuthorization();
            },
            map: app =>
            {
                app.UseAuthentication();
                app.UseAuthorization();
                app.MapGrpcService<UserService>().RequireAuthorization();
            });

        RpcException e = await Assert.ThrowsAsync<RpcException>(() => server.Probe.UnaryAsync(new ProbeRequest()).ResponseAsync.WaitAsync(Patience));
        ProbeReply reply = await server.Probe.UnaryAsync(new ProbeRequest(), new Metadata { { "x-user", "anna" } }).ResponseAsync.WaitAsync(Patience);

        Assert.Equal(StatusCode.Unauthenticated, e.StatusCode);
        Assert.StartsWith("anna from ipv4:127.0.0.1:", reply.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Interceptors_OfServer_SeeEveryKindOfCallInOrder()
    {
        var seen = new ConcurrentQueue<string>();
        await using GrpcTestServer server = await GrpcTestServer.StartAsync(
            grpc =>
            {
                grpc.Interceptors.Add<Witness>("outer");
                grpc.Interceptors.Add<Witness>("inner");
            },
            services => services.AddSingleton(seen));

        await server.Probe.UnaryAsync(new ProbeRequest()).ResponseAsync.WaitAsync(Patience);
        using AsyncServerStreamingCall<ProbeReply> responses = server.Probe.ServerStream(new ProbeRequest());
        Assert.False(await responses.ResponseStream.MoveNext().WaitAsync(Patience));
        using AsyncClientStreamingCall<ProbeRequest, ProbeReply> requests = server.Probe.ClientStream();
        await requests.RequestStream.CompleteAsync();
        await requests.ResponseAsync.WaitAsync(Patience);
        using AsyncDuplexStreamingCall<ProbeRequest, ProbeReply> both = server.Probe.Duplex();
        await both.RequestStream.CompleteAsync();
        Assert.False(await both.ResponseStream.MoveNext().WaitAsync(Patience));

        Assert.Equal(
            ["outer Unary", "inner Unary", "outer ServerStream", "inner ServerStream", "outer ClientStream", "inner ClientStream", "outer Duplex", "inner Duplex"],
            seen);
    }

    [Fact]
    public async Task Interceptor_OfServer_TurnsExceptionsIntoStatus()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync(grpc => grpc.Interceptors.Add<Translator>());

        RpcException e = await Assert.ThrowsAsync<RpcException>(
            () => server.Probe.UnaryAsync(new ProbeRequest { Ending = new Ending { Crash = "x" } }).ResponseAsync.WaitAsync(Patience));

        Assert.Equal((StatusCode.InvalidArgument, "translated"), (e.StatusCode, e.Status.Detail));
    }

    [Fact]
    public async Task Interceptor_OfClient_RewritesHeaders()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();
        var client = new Probe.ProbeClient(server.Channel.Intercept(headers =>
        {
            headers.Add("x-added", "here");
            return headers;
        }));

        ProbeReply reply = await client.UnaryAsync(new ProbeRequest()).ResponseAsync.WaitAsync(Patience);

        Assert.Equal("here", reply.Headers["x-added"]);
    }

    [Fact]
    public async Task Options_OfOneService_WinOverThoseOfAll()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync(
            grpc => grpc.MaxReceiveMessageSize = 10,
            services => services.Configure<GrpcServiceOptions<ProbeService>>(one => one.MaxReceiveMessageSize = null));

        ProbeReply reply = await server.Probe.UnaryAsync(new ProbeRequest { Payload = ByteString.CopyFrom(new byte[40_000_00]) }).ResponseAsync.WaitAsync(Patience);

        Assert.Equal(4_000_000, reply.Payload.Length);
    }

    [Fact]
    public async Task PropagationToken_OfAServerCall_EndsTheCallMadeForIt()
    {
        await using GrpcTestServer inner = await GrpcTestServer.StartAsync();
        await using GrpcTestServer outer = await GrpcTestServer.StartAsync(
            services: services => services.AddSingleton(inner.Probe), map: app => app.MapGrpcService<ForwardingService>());
        using var stop = new CancellationTokenSource();
        using AsyncUnaryCall<ProbeReply> call = outer.Probe.UnaryAsync(new ProbeRequest { Ending = new Ending { Hang = true } }, cancellationToken: stop.Token);
        await inner.Record.Hanging.Task.WaitAsync(Patience);

        await stop.CancelAsync();

        await inner.Record.CancelSeen.Task.WaitAsync(Patience);
    }

    [Fact]
    public async Task CallCredentials_OverPlainHttp_AreSentOnlyWhenAllowed()
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync();
        var credentials = CallCredentials.FromInterceptor((context, metadata) =>
        {
            metadata.Add("x-token", $"for {context.MethodName}");
            return Task.CompletedTask;
        });
        using var open = global::Grpc.Net.Client.GrpcChannel.ForAddress(
            server.Address, new global::Grpc.Net.Client.GrpcChannelOptions { UnsafeUseInsecureChannelCallCredentials = true });
        var options = new CallOptions(credentials: credentials);

        ProbeReply closed = await server.Probe.UnaryAsync(new ProbeRequest(), options).ResponseAsync.WaitAsync(Patience);
        ProbeReply opened = await new Probe.ProbeClient(open).UnaryAsync(new ProbeRequest(), options).ResponseAsync.WaitAsync(Patience);

        Assert.Empty(closed.Headers);
        Assert.Equal("for Unary", opened.Headers["x-token"]);
    }

    [Fact]
    public async Task Server_OnStop_LetsStreamsEnd()
    {
        GrpcTestServer server = await GrpcTestServer.StartAsync();
        using AsyncServerStreamingCall<ProbeReply> call = server.Probe.ServerStream(new ProbeRequest { Replies = 1, Ending = new Ending { Hang = true } });
        Assert.True(await call.ResponseStream.MoveNext().WaitAsync(Patience));

        await server.DisposeAsync();

        Assert.True(server.Record.CancelSeen.Task.IsCompleted);
        await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext().WaitAsync(Patience));
    }

    private sealed class HeaderUser(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder)
        : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
    {
        protected override Task<AuthenticateResult> HandleAuthenticateAsync() => Task.FromResult(
            Request.Headers["x-user"].ToString() is { Length: > 0 } name
                ? AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.Name, name)], "test")), "test"))
                : AuthenticateResult.NoResult());
    }

    private sealed class UserService : Probe.ProbeBase
    {
        public override Task<ProbeReply> Unary(ProbeRequest request, ServerCallContext context) =>
            Task.FromResult(new ProbeReply { Text = $"{context.GetHttpContext().User.Identity!.Name} from {context.Peer}" });
    }

    private sealed class ForwardingService(Probe.ProbeClient inner) : Probe.ProbeBase
    {
        public override async Task<ProbeReply> Unary(ProbeRequest request, ServerCallContext context) =>
            await inner.UnaryAsync(request, new CallOptions(propagationToken: context.CreatePropagationToken()));
    }

    private sealed class Translator : Interceptor
    {
        public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
            TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
        {
            try
            {
                return await continuation(request, context);
            }
            catch (FormatException)
            {
                throw new RpcException(new Status(StatusCode.InvalidArgument, "translated"));
            }
        }
    }

    private sealed class Witness(string name, ConcurrentQueue<string> seen) : Interceptor
    {
        public override Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
            TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
        {
            See(context);
            return continuation(request, context);
        }

        public override Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
            IAsyncStreamReader<TRequest> requestStream, ServerCallContext context, ClientStreamingServerMethod<TRequest, TResponse> continuation)
        {
            See(context);
            return continuation(requestStream, context);
        }

        public override Task ServerStreamingServerHandler<TRequest, TResponse>(
            TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
        {
            See(context);
            return continuation(request, responseStream, context);
        }

        public override Task DuplexStreamingServerHandler<TRequest, TResponse>(
            IAsyncStreamReader<TRequest> requestStream, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
            DuplexStreamingServerMethod<TRequest, TResponse> continuation)
        {
            See(context);
            return continuation(requestStream, responseStream, context);
        }

        private void See(ServerCallContext context) => seen.Enqueue($"{name} {context.Method[(context.Method.LastIndexOf('/') + 1)..]}");
    }
}
