using System.Buffers;
using System.Text;
using MultiCluster.Grains.Cluster;

namespace MultiCluster.Grains.Tests.Cluster;

public sealed class SecretRedactionTests
{
    [Theory]
    [InlineData(
        """{"kind":"Secret","metadata":{"name":"a","resourceVersion":"7"},"data":{"k":"c2VjcmV0"},"type":"Opaque"}""",
        """{"kind":"Secret","metadata":{"name":"a","resourceVersion":"7"},"type":"Opaque"}""")]
    [InlineData(
        """{"stringData":{"k":"secret"},"metadata":{"name":"a"},"immutable":true}""",
        """{"metadata":{"name":"a"},"immutable":true}""")]
    [InlineData(
        """{"metadata":{"annotations":{"a":"b","kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"k\":\"secret\"}}"},"labels":{"data":"kept"},"generation":1.0}}""",
        """{"metadata":{"annotations":{"a":"b"},"labels":{"data":"kept"},"generation":1.0}}""")]
    [InlineData(
        """{"\u0064ata":{"k":"secret"},"metadata":{"name":"a"}}""",
        """{"metadata":{"name":"a"}}""")]
    public void Redact_Secret_KeepsAllButItsValues(string secret, string expected)
    {
        var clean = new ArrayBufferWriter<byte>();

        SecretRedaction.Redact(Encoding.UTF8.GetBytes(secret), clean);

        Assert.Equal(expected, Encoding.UTF8.GetString(clean.WrittenSpan));
    }

    [Fact]
    public void Redact_BrokenJson_IsAFormatException()
        => Assert.Throws<FormatException>(() => SecretRedaction.Redact("{\"data\":"u8, new ArrayBufferWriter<byte>()));
}
