using System.Buffers;
using System.IO.Pipelines;
using Grpc.Core;
using MultiCluster.Engine.Grpc.Wire;

namespace MultiCluster.Engine.Tests.Grpc;

public sealed class WireTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData("1H", 36_000_000_000)]
    [InlineData("2M", 1_200_000_000)]
    [InlineData("3S", 30_000_000)]
    [InlineData("4m", 40_000)]
    [InlineData("5u", 50)]
    [InlineData("600n", 6)]
    [InlineData("99n", 0)]
    [InlineData("00000001S", 10_000_000)]
    [InlineData("99999999S", 999_999_990_000_000)]
    [InlineData("99999999M", 999_999_990_000_000)]
    [InlineData("99999999H", 999_999_990_000_000)]
    public void Timeout_WellFormed_IsRead(string text, long ticks)
    {
        Assert.True(GrpcTimeout.TryParse(text, out TimeSpan timeout));
        Assert.Equal(ticks, timeout.Ticks);
    }

    [Theory]
    [InlineData("")]
    [InlineData("S")]
    [InlineData("1")]
    [InlineData("1s")]
    [InlineData("+1S")]
    [InlineData(" 1S")]
    [InlineData("1,0S")]
    [InlineData("100000000n")]
    public void Timeout_Malformed_IsRefused(string text) => Assert.False(GrpcTimeout.TryParse(text, out _));

    [Theory]
    [InlineData(0, "1n")]
    [InlineData(-5, "1n")]
    [InlineData(1, "100n")]
    [InlineData(999_999, "99999900n")]
    [InlineData(1_000_001, "100001u")]
    [InlineData(10_000_000_000, "1000000m")]
    [InlineData(36_000_000_000_001, "3600001S")]
    [InlineData(long.MaxValue, "99999999S")]
    public void Timeout_Written_IsNeverShorter(long ticks, string expected) => Assert.Equal(expected, GrpcTimeout.Format(new TimeSpan(ticks)));

    [Theory]
    [InlineData("plain text, 100 %", "plain text, 100 %25")]
    [InlineData("ü", "%C3%BC")]
    [InlineData("a\nb", "a%0Ab")]
    [InlineData("🚀", "%F0%9F%9A%80")]
    public void StatusText_Encoded_IsPrintableAscii(string text, string encoded) => Assert.Equal(encoded, StatusText.Encode(text));

    [Theory]
    [InlineData("%C3%BC", "ü")]
    [InlineData("100%", "100%")]
    [InlineData("%zz%4", "%zz%4")]
    [InlineData("%FF", "\uFFFD")]
    public void StatusText_Decoded_NeverFails(string encoded, string text) => Assert.Equal(text, StatusText.Decode(encoded));

    [Fact]
    public void StatusText_HalfASurrogatePair_IsReplaced() => Assert.Equal("%EF%BF%BD", StatusText.Encode("\uD800"));

    [Fact]
    public void StatusText_VeryLong_IsCut() => Assert.Equal(4096, StatusText.Encode(new string('x', 100_000)).Length);

    [Theory]
    [InlineData("AAn/", new byte[] { 0, 9, 255 })]
    [InlineData("AAk=", new byte[] { 0, 9 })]
    [InlineData("AAk", new byte[] { 0, 9 })]
    [InlineData("", new byte[] { })]
    public void BinaryMetadata_WithAndWithoutPadding_IsRead(string base64, byte[] expected)
    {
        var metadata = new Metadata();
        MetadataHeaders.Add(metadata, "x-bin", base64);
        Assert.Equal(expected, metadata.GetValueBytes("x-bin"));
    }

    [Fact]
    public void BinaryMetadata_JoinedByCommas_IsSeveralEntries()
    {
        var metadata = new Metadata();
        MetadataHeaders.Add(metadata, "x-bin", "AQ==, Ag,Aw==");
        Assert.Equal([1, 2, 3], metadata.GetAll("x-bin").Select(entry => entry.ValueBytes.Single()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("has space")]
    [InlineData("ü")]
    [InlineData("a:b")]
    public void Metadata_BadKey_IsRefused(string key) => Assert.Throws<ArgumentException>(() => new Metadata { { key, "v" } });

    [Fact]
    public void Metadata_KindOfValueAndKeyMustAgree()
    {
        Assert.Throws<ArgumentException>(() => new Metadata { { "x-bin", "text" } });
        Assert.Throws<ArgumentException>(() => new Metadata { { "x", [1] } });
        Assert.Throws<InvalidOperationException>(() => Metadata.Empty.Add("x", "y"));
        Assert.Throws<InvalidOperationException>(() => new Metadata { { "x-bin", [1] } }.GetValue("x-bin"));
        Assert.Throws<RpcException>(() => MetadataHeaders.ToHeaderValue(new Metadata.Entry("x", "line\nbreak")));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(4096)]
    public async Task Reader_BytesInPiecesOfAnySize_CutsTheSameMessages(int piece)
    {
        var output = new ArrayBufferWriter<byte>();
        var writer = new MessageWriter(null, default);
        string[] messages = ["", "a", new string('b', 300), "", "ü🚀"];
        foreach (string message in messages)
        {
            writer.Write(message, Marshallers.StringMarshaller.ContextualSerializer, output, compress: message.Length > 100);
        }

        var pipe = new Pipe();
        Task feeding = FeedAsync(pipe.Writer, output.WrittenMemory, piece);
        var reader = new MessageReader(pipe.Reader, 1000, "gzip");
        List<string> read = [];
        while (await reader.ReadAsync(Marshallers.StringMarshaller.ContextualDeserializer, CancellationToken.None).AsTask().WaitAsync(Patience) is { } message)
        {
            read.Add(message);
        }

        await feeding;
        Assert.Equal(messages, read);
    }

    [Fact]
    public async Task Reader_LengthAboveTheLimit_FailsBeforeTheMessageArrives()
    {
        var pipe = new Pipe();
        await pipe.Writer.WriteAsync(new byte[] { 0, 0, 0, 4, 0 });
        var reader = new MessageReader(pipe.Reader, 1023, null);

        RpcException e = await Assert.ThrowsAsync<RpcException>(
            () => reader.ReadAsync(Marshallers.StringMarshaller.ContextualDeserializer, CancellationToken.None).AsTask().WaitAsync(Patience));

        Assert.Equal(StatusCode.ResourceExhausted, e.StatusCode);
    }

    private static async Task FeedAsync(PipeWriter writer, ReadOnlyMemory<byte> bytes, int piece)
    {
        for (int at = 0; at < bytes.Length; at += piece)
        {
            await writer.WriteAsync(bytes.Slice(at, Math.Min(piece, bytes.Length - at)));
        }

        await writer.CompleteAsync();
    }
}
