using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using MultiCluster.Engine.Tests.Grpc.Protos;

namespace MultiCluster.Engine.Tests.Grpc;

/// <summary>Our client against servers that answer badly.</summary>
public sealed class ClientMappingTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(400, StatusCode.Internal)]
    [InlineData(401, StatusCode.Unauthenticated)]
    [InlineData(403, StatusCode.PermissionDenied)]
    [InlineData(404, StatusCode.Unimplemented)]
    [InlineData(429, StatusCode.Unavailable)]
    [InlineData(500, StatusCode.Unknown)]
    [InlineData(502, StatusCode.Unavailable)]
    [InlineData(503, StatusCode.Unavailable)]
    [InlineData(504, StatusCode.Unavailable)]
    public async Task HttpError_BecomesTheStatusForIt(int http, StatusCode expected)
    {
        RpcException e = await CallAsync(context =>
        {
            context.Response.StatusCode = http;
            return Task.CompletedTask;
        });

        Assert.Equal(expected, e.StatusCode);
        Assert.Contains(http.ToString(), e.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Html_InsteadOfGrpc_FailsAndSaysSo()
    {
        RpcException e = await CallAsync(context =>
        {
            context.Response.ContentType = "text/html";
            return context.Response.WriteAsync("<html>");
        });

        Assert.Contains("text/html", e.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Status_Missing_Fails()
    {
        RpcException e = await CallAsync(context => AnswerAsync(context, [0, 0, 0, 0, 0], status: null));

        Assert.Equal(StatusCode.Cancelled, e.StatusCode);
    }

    [Theory]
    [InlineData(new byte[] { }, "0", StatusCode.Internal)]   // OK, but no message
    [InlineData(new byte[] { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, "0", StatusCode.Internal)]   // two messages
    [InlineData(new byte[] { 0, 0, 0, 0, 9, 1 }, "0", StatusCode.Internal)]   // half a message
    [InlineData(new byte[] { 0, 0xFF, 0, 0, 0, 1 }, "0", StatusCode.ResourceExhausted)]
    [InlineData(new byte[] { 1, 0, 0, 0, 1, 1 }, "0", StatusCode.Internal)]   // compressed with nothing
    [InlineData(new byte[] { 0, 0, 0, 0, 0 }, "77", StatusCode.Unknown)]
    [InlineData(new byte[] { 0, 0, 0, 0, 0 }, "x", StatusCode.Unknown)]
    [InlineData(new byte[] { 0, 0, 0, 0, 0 }, "10", StatusCode.Aborted)]   // a message, and then a failure
    public async Task Body_Broken_BecomesAStatus(byte[] body, string status, StatusCode expected) =>
        Assert.Equal(expected, (await CallAsync(context => AnswerAsync(context, body, status))).StatusCode);

    [Theory]
    [InlineData(0x0, StatusCode.Internal)]
    [InlineData(0x7, StatusCode.Unavailable)]
    [InlineData(0x8, StatusCode.Cancelled)]
    [InlineData(0xb, StatusCode.ResourceExhausted)]
    public async Task Reset_ByTheServer_BecomesTheStatusForItsCode(int http2Error, StatusCode expected)
    {
        RpcException e = await CallAsync(async context =>
        {
            context.Response.ContentType = "application/grpc";
            await context.Response.StartAsync();
            context.Features.GetRequiredFeature<IHttpResetFeature>().Reset(http2Error);
        });

        Assert.Equal(expected, e.StatusCode);
    }

    [Fact]
    public void Channel_AddressThatIsNone_IsRefused()
    {
        Assert.Throws<ArgumentException>(() => GrpcChannel.ForAddress("ftp://127.0.0.1"));
        Assert.Throws<InvalidOperationException>(
            () => GrpcChannel.ForAddress("http://127.0.0.1:1", new GrpcChannelOptions { Credentials = ChannelCredentials.SecureSsl }));
    }

    private static async Task AnswerAsync(HttpContext context, byte[] body, string? status)
    {
        context.Response.ContentType = "application/grpc";
        await context.Response.StartAsync();
        await context.Response.Body.WriteAsync(body);
        if (status is not null)
        {
            context.Response.AppendTrailer("grpc-status", status);
        }
    }

    private static async Task<RpcException> CallAsync(RequestDelegate answer)
    {
        await using GrpcTestServer server = await GrpcTestServer.StartAsync(map: app => app.Run(answer));
        return await Assert.ThrowsAsync<RpcException>(() => server.Probe.UnaryAsync(new ProbeRequest()).ResponseAsync.WaitAsync(Patience));
    }
}
