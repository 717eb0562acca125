using System.Text;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Kubernetes.Tests.Json;

public sealed class ObjectScannerFieldTests
{
    private const string Identity = "\"name\":\"a\",\"uid\":\"u\",\"resourceVersion\":\"1\"";

    private static readonly ResourceType Pods = new("", "v1", "pods", "Pod", Namespaced: true);

    [Fact]
    public void Scan_Escapes_AreResolved()
    {
        ScannedObject found = new ObjectScanner(Pods).Scan(
            """{"met\u0061data":{"n\u0061me":"\u0061-\u00e9\ud83d\ude00","uid":"u","resourceVersion":"1","labels":{"a\/b":"\t\"\\"}}}"""u8);
        Assert.Equal("a-é😀", Encoding.UTF8.GetString(found.Name));
        Assert.Equal("a/b", Encoding.UTF8.GetString(found.LabelKey(0)));
        Assert.Equal("\t\"\\", Encoding.UTF8.GetString(found.LabelValue(0)));
    }

    [Theory]
    [InlineData("""{"metadata":{ID}}""", """{"kind":"Pod","apiVersion":"v1","metadata":{ID}}""")]
    [InlineData("""{"apiVersion":"v1","metadata":{ID}}""", """{"kind":"Pod","apiVersion":"v1","metadata":{ID}}""")]
    [InlineData("""{"metadata":{ID},"kind":"Pod"}""", """{"apiVersion":"v1","metadata":{ID},"kind":"Pod"}""")]
    public void Scan_KindOrVersionMissing_IsAddedInFront(string json, string stored)
    {
        ScannedObject found = new ObjectScanner(Pods).Scan(Encoding.UTF8.GetBytes(json.Replace("ID", Identity, StringComparison.Ordinal)));
        byte[] kept = new byte[found.JsonLength];
        found.CopyJson(kept);
        Assert.Equal(stored.Replace("ID", Identity, StringComparison.Ordinal), Encoding.UTF8.GetString(kept));
    }

    [Theory]
    [InlineData("""{"containers":[{"resources":{"requests":{"cpu":"100m","memory":"64Mi"}}},{"resources":{"requests":{"cpu":"0.25"}}}]}""", 350, 64L << 20, 0)]
    [InlineData("""{"containers":[{"resources":{"requests":{"cpu":"1"}}}],"initContainers":[{"resources":{"requests":{"cpu":"3"}}}]}""", 3000, 0, 0)]
    [InlineData("""{"initContainers":[{"restartPolicy":"Always","resources":{"requests":{"cpu":"1"}}},{"resources":{"requests":{"cpu":"3"}}}],"containers":[{"resources":{"requests":{"cpu":"2"}}}]}""", 4000, 0, 0)]
    [InlineData("""{"initContainers":[{"resources":{"requests":{"cpu":"3"}}},{"resources":{"requests":{"cpu":"1"}},"restartPolicy":"Always"}],"containers":[{"resources":{"requests":{"cpu":"4"}}}],"overhead":{"cpu":"10m"}}""", 5010, 0, 0)]
    [InlineData("""{"containers":[{"resources":{"requests":{"nvidia.com/gpu":"2","memory":"1e3"}}},{"resources":{"requests":{"amd.com/gpu":1,"memory":"1500m"}}}]}""", 0, 1002, 3)]
    public void Scan_PodRequests_FollowTheSchedulersRule(string spec, long cpu, long memory, long gpus)
    {
        ScannedObject found = new ObjectScanner(Pods).Scan(Encoding.UTF8.GetBytes($"{{\"metadata\":{{{Identity}}},\"spec\":{spec}}}"));
        Assert.Equal(new ResourceAmounts(cpu, memory, gpus), found.Resources);
    }

    [Fact]
    public void Scan_StatusOfOtherTypes_IsSteppedOver()
    {
        var widgets = new ResourceType("example.com", "v1", "widgets", "Widget", Namespaced: true);
        ScannedObject found = new ObjectScanner(widgets).Scan(Encoding.UTF8.GetBytes(
            "{\"metadata\":{" + Identity + """},"spec":[1],"status":{"phase":{"a":1},"conditions":{"Ready":true},"observedGeneration":"x"}}"""));
        Assert.True(found.Phase.IsEmpty);
        Assert.Equal((0, (long)KindFacts.Absent), (found.ConditionCount, found.Facts.ObservedGeneration));
    }

    [Theory]
    [InlineData("0", 1, 0)]
    [InlineData("100m", 1000, 100)]
    [InlineData("1.5", 1000, 1500)]
    [InlineData("1n", 1000, 1)]
    [InlineData("1.5Gi", 1, 1610612736)]
    [InlineData("2E", 1, 2000000000000000000)]
    [InlineData("1e3", 1, 1000)]
    [InlineData("12E2", 1, 1200)]
    [InlineData("8Ei", 1, long.MaxValue)]
    [InlineData("-1", 1, -1)]
    [InlineData(".5", 1000, 500)]
    [InlineData("5.", 1, 5)]
    public void Quantity_Good_IsReadRoundedUp(string text, int units, long value)
    {
        Assert.True(Quantity.TryParse(Encoding.UTF8.GetBytes(text), units, out long found));
        Assert.Equal(value, found);
    }

    [Theory]
    [InlineData("")]
    [InlineData("-")]
    [InlineData(".")]
    [InlineData("-.")]
    [InlineData("m")]
    [InlineData("1x")]
    [InlineData("1KI")]
    [InlineData("1ki")]
    [InlineData("1e")]
    [InlineData("1e99")]
    [InlineData("1 Gi")]
    public void Quantity_Bad_IsRefused(string text) => Assert.False(Quantity.TryParse(Encoding.UTF8.GetBytes(text), 1, out _));
}
