using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MultiCluster.Engine.Grpc.Wire;
using MultiCluster.Engine.Tests.Grpc.Protos;

namespace MultiCluster.Engine.Tests.Grpc;

/// <summary>Requests that no gRPC library would send, made by hand over HTTP/2.</summary>
[Collection(MemoryTests.Name)]
public sealed class HostileRequestTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static readonly HttpClient Http = new() { DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
    private GrpcTestServer _server = null!;

    public async Task InitializeAsync() => _server = await GrpcTestServer.StartAsync(o => o.MaxReceiveMessageSize = 100_000);

    public async Task DisposeAsync() => await _server.DisposeAsync();

    public static TheoryData<string, byte[], StatusCode> BadBodies() => new()
    {
        { "no message at all", [], StatusCode.Internal },
        { "half a frame header", [0, 0, 0], StatusCode.Internal },
        { "a frame header without its message", [0, 0, 0, 0, 9], StatusCode.Internal },
        { "half a message", [0, 0, 0, 0, 9, 1, 2, 3], StatusCode.Internal },
        { "two messages where one is wanted", [.. Frame([]), .. Frame([])], StatusCode.Internal },
        { "bytes behind the message", [.. Frame([]), 7], StatusCode.Internal },
        { "a compressed flag of 2", [2, 0, 0, 0, 0], StatusCode.Internal },
        { "a message that is no protobuf", Frame([0xFF, 0xFF, 0xFF, 0xFF]), StatusCode.InvalidArgument },
        { "a declared length of 4 GB", [0, 0xFF, 0xFF, 0xFF, 0xFF, 1], StatusCode.ResourceExhausted },
        { "a declared length one above the limit", Header(0, 100_001), StatusCode.ResourceExhausted },
        { "compressed without an encoding", [1, 0, 0, 0, 1, 0], StatusCode.Internal },
    };

    [Theory]
    [MemberData(nameof(BadBodies))]
    public async Task Body_Broken_IsAnsweredWithItsStatus(string what, byte[] body, StatusCode expected)
    {
        using HttpResponseMessage response = await PostAsync(body);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True(expected == StatusOf(response), $"{what}: {StatusOf(response)} {MessageOf(response)}");
    }

    [Fact]
    public async Task Body_ThatIsNoMessage_IsAtMostADebugLineWithoutAStack()
    {
        var log = new RecordingLog();
        await using GrpcTestServer server = await GrpcTestServer.StartAsync(services: services => services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Debug).AddProvider(log)));
        foreach (object[] bad in BadBodies())
        {
            using HttpRequestMessage request = NewRequest(new ByteArrayContent((byte[])bad[1]), "application/grpc");
            request.RequestUri = new Uri(server.Address + "/probe.v1.Probe/Unary");
            using HttpResponseMessage response = await Http.SendAsync(request).WaitAsync(Patience);
        }

        Assert.Equal(BadBodies().Count, log.Lines.Count(line => line.Event == "GrpcRequestBroken"));
        Assert.DoesNotContain(log.Lines, line => line.Category.StartsWith("Grpc.", StringComparison.Ordinal) && (line.Level > LogLevel.Debug || line.HasException));
    }

    [Theory]
    [InlineData("snappy", StatusCode.Unimplemented)]
    [InlineData("deflate", StatusCode.Unimplemented)]
    [InlineData("identity", StatusCode.Internal)]
    [InlineData("gzip", StatusCode.Internal)]   // and then it is no gzip
    public async Task Encoding_OfACompressedMessage_IsChecked(string encoding, StatusCode expected)
    {
        using HttpResponseMessage response = await PostAsync([1, 0, 0, 0, 3, 1, 2, 3], h => h.Add("grpc-encoding", encoding));

        Assert.Equal(expected, StatusOf(response));
        Assert.Equal(expected == StatusCode.Unimplemented ? ["identity,gzip"] : [], response.Headers.TryGetValues("grpc-accept-encoding", out var accepted) ? accepted : []);
    }

    [Fact]
    public async Task Gzip_Truncated_IsNoMessage()
    {
        byte[] whole = Gzip(new byte[5000]);

        using HttpResponseMessage response = await PostAsync(
            [.. Header(1, whole.Length - 10), .. whole.AsSpan(0, whole.Length - 10)], h => h.Add("grpc-encoding", "gzip"));

        Assert.Equal(StatusCode.InvalidArgument, StatusOf(response));
    }

    [Fact]
    public async Task Gzip_Bomb_IsStoppedAtTheLimit()
    {
        byte[] bomb = Gzip(new byte[80_000_000]);
        Assert.InRange(bomb.Length, 1, 100_000);
        long before = GC.GetTotalAllocatedBytes();

        using HttpResponseMessage response = await PostAsync([.. Header(1, bomb.Length), .. bomb], h => h.Add("grpc-encoding", "gzip"));

        Assert.Equal(StatusCode.ResourceExhausted, StatusOf(response));
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 20_000_000);
    }

    [Theory]
    [InlineData("soon")]
    [InlineData("S")]
    [InlineData("")]
    [InlineData("-1S")]
    [InlineData("1.5S")]
    [InlineData("123456789S")]
    [InlineData("1 S")]
    [InlineData("99999999H")]
    public async Task Timeout_GarbageOrHuge_MeansNoEarlyEnd(string timeout)
    {
        using HttpResponseMessage response = await PostAsync(Frame([]), h => h.TryAddWithoutValidation("grpc-timeout", timeout));

        Assert.Equal(StatusCode.OK, StatusOf(response));
    }

    [Theory]
    [InlineData("0n")]
    [InlineData("1n")]
    [InlineData("1m")]
    public async Task Timeout_Tiny_IsDeadlineExceeded(string timeout)
    {
        byte[] hang = new ProbeRequest { Ending = new ProbeRequest.Types.Ending { Hang = true } }.ToByteArray();

        using HttpResponseMessage response = await PostAsync(Frame(hang), h => h.Add("grpc-timeout", timeout));

        Assert.Equal(StatusCode.DeadlineExceeded, StatusOf(response));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("application/json")]
    [InlineData("application/grpc-web")]
    [InlineData("application/grpc-web+proto")]
    public async Task ContentType_NotGrpc_Is415(string? contentType)
    {
        using HttpResponseMessage response = await PostAsync(Frame([]), contentType: contentType);

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Theory]
    [InlineData("application/grpc")]
    [InlineData("application/grpc+proto")]
    [InlineData("application/grpc;charset=utf-8")]
    public async Task ContentType_Grpc_IsServed(string contentType)
    {
        using HttpResponseMessage response = await PostAsync(Frame([]), contentType: contentType);

        Assert.Equal("application/grpc", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal(StatusCode.OK, StatusOf(response));
    }

    [Fact]
    public async Task Te_Missing_IsTolerated()
    {
        using HttpResponseMessage response = await PostAsync(Frame([]), h => h.Remove("TE"));

        Assert.Equal(StatusCode.OK, StatusOf(response));
    }

    [Fact]
    public async Task Http1_Request_Is426()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, _server.Http1Address + "/probe.v1.Probe/Unary")
        {
            Version = HttpVersion.Version11,
            Content = new ByteArrayContent(Frame([])) { Headers = { ContentType = new MediaTypeHeaderValue("application/grpc") } },
        };

        using HttpResponseMessage response = await Http.SendAsync(request).WaitAsync(Patience);

        Assert.Equal(HttpStatusCode.UpgradeRequired, response.StatusCode);
    }

    [Fact]
    public async Task Get_OfAMethod_IsNotServed()
    {
        using HttpResponseMessage response = await Http.GetAsync(_server.Address + "/probe.v1.Probe/Unary").WaitAsync(Patience);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    [Fact]
    public async Task Metadata_BrokenBase64_IsInternalAndNamesTheKey()
    {
        using HttpResponseMessage response = await PostAsync(Frame([]), h => h.Add("x-raw-bin", "***"));

        Assert.Equal(StatusCode.Internal, StatusOf(response));
        Assert.Contains("x-raw-bin", MessageOf(response), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metadata_Huge_IsRefusedAndTheServerLivesOn()
    {
        // Kestrel takes 32 KB of headers; it may answer 431 or reset the connection.
        Exception? refused = null;
        HttpResponseMessage? response = null;
        try
        {
            response = await PostAsync(Frame([]), h => h.Add("x-huge", new string('x', 200_000)));
        }
        catch (HttpRequestException e)
        {
            refused = e;
        }

        Assert.True(refused is not null || response!.StatusCode == HttpStatusCode.RequestHeaderFieldsTooLarge);
        response?.Dispose();
        using HttpResponseMessage next = await PostAsync(Frame([]));
        Assert.Equal(StatusCode.OK, StatusOf(next));
    }

    [Fact]
    public async Task Body_AbortedInTheMiddle_CancelsTheHandlerAndTheServerLivesOn()
    {
        using var stop = new CancellationTokenSource();
        using var request = NewRequest(new AbortedContent([0, 0, 0, 0, 9, 1, 2], stop), "application/grpc");

        await Assert.ThrowsAnyAsync<Exception>(() => Http.SendAsync(request, stop.Token).WaitAsync(Patience));

        using HttpResponseMessage next = await PostAsync(Frame([]));
        Assert.Equal(StatusCode.OK, StatusOf(next));
    }

    private static byte[] Header(byte flag, int length)
    {
        byte[] header = new byte[GrpcNames.FrameHeaderSize];
        header[0] = flag;
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(1), length);
        return header;
    }

    private static byte[] Frame(byte[] message) => [.. Header(0, message.Length), .. message];

    private static byte[] Gzip(byte[] message)
    {
        using var output = new MemoryStream();
        using (var gzip = new GZipStream(output, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            gzip.Write(message);
        }

        return output.ToArray();
    }

    private static StatusCode StatusOf(HttpResponseMessage response) =>
        (StatusCode)int.Parse((response.Headers.TryGetValues("grpc-status", out var early) ? early : response.TrailingHeaders.GetValues("grpc-status")).Single());

    private static string MessageOf(HttpResponseMessage response) =>
        response.Headers.TryGetValues("grpc-message", out var early) || response.TrailingHeaders.TryGetValues("grpc-message", out early) ? early.Single() : "";

    private HttpRequestMessage NewRequest(HttpContent content, string? contentType)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, _server.Address + "/probe.v1.Probe/Unary")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        if (contentType is not null)
        {
            content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        }

        return request;
    }

    private async Task<HttpResponseMessage> PostAsync(byte[] body, Action<HttpRequestHeaders>? headers = null, string? contentType = "application/grpc")
    {
        using HttpRequestMessage request = NewRequest(new ByteArrayContent(body), contentType);
        headers?.Invoke(request.Headers);
        return await Http.SendAsync(request).WaitAsync(Patience);
    }

    private sealed record LoggedLine(string Category, LogLevel Level, string? Event, bool HasException);

    /// <summary>Keeps every line. Thread-safe.</summary>
    private sealed class RecordingLog : ILoggerProvider
    {
        private readonly ConcurrentQueue<LoggedLine> _lines = new();

        public IReadOnlyCollection<LoggedLine> Lines => _lines;

        public ILogger CreateLogger(string categoryName) => new Category(categoryName, _lines);

        public void Dispose()
        {
            // The lines are read after the server has stopped, too.
        }

        private sealed class Category(string name, ConcurrentQueue<LoggedLine> lines) : ILogger
        {
            public IDisposable? BeginScope<TState>(TState state)
                where TState : notnull => null;

            public bool IsEnabled(LogLevel logLevel) => true;

            public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
                lines.Enqueue(new LoggedLine(name, logLevel, eventId.Name, exception is not null));
        }
    }

    private sealed class AbortedContent(byte[] start, CancellationTokenSource stop) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(start);
            await stream.FlushAsync();
            await stop.CancelAsync();
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
