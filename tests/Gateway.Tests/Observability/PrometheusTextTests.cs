using System.Diagnostics.Metrics;
using MultiCluster.Gateway.Observability;

namespace MultiCluster.Gateway.Tests.Observability;

public sealed class PrometheusTextTests
{
    [Fact]
    public void Write_Counter_AddsUpByLabels()
    {
        using var text = new PrometheusText();
        using var meter = new Meter("MultiCluster.Test.Counter");
        Counter<long> counter = meter.CreateCounter<long>("test.relists", description: "Lists so far.");
        counter.Add(2, new KeyValuePair<string, object?>("cluster", "eu-1"));
        counter.Add(3, new KeyValuePair<string, object?>("cluster", "eu-1"));

        string written = text.Write();

        Assert.Contains("# TYPE test_relists_total counter\ntest_relists_total{cluster=\"eu-1\"} 5\n", written, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_Histogram_IsCumulative()
    {
        using var text = new PrometheusText();
        using var meter = new Meter("MultiCluster.Test.Histogram");
        Histogram<double> histogram = meter.CreateHistogram<double>("test.duration", "s");
        histogram.Record(0.003);
        histogram.Record(0.3);

        string written = text.Write();

        Assert.Contains("test_duration_seconds_bucket{le=\"0.0025\"} 0\n", written, StringComparison.Ordinal);
        Assert.Contains("test_duration_seconds_bucket{le=\"0.005\"} 1\n", written, StringComparison.Ordinal);
        Assert.Contains("test_duration_seconds_bucket{le=\"+Inf\"} 2\n", written, StringComparison.Ordinal);
        Assert.Contains("test_duration_seconds_count 2\n", written, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_ObservedGauge_ForgetsSeriesThatAreNoLongerObserved()
    {
        using var text = new PrometheusText();
        using var meter = new Meter("MultiCluster.Test.Gauge");
        var clusters = new List<string> { "a", "b" };
        meter.CreateObservableGauge("test.objects", () => clusters.Select(c => new Measurement<long>(7, new KeyValuePair<string, object?>("cluster", c))).ToArray());

        string before = text.Write();
        clusters.Remove("b");
        string after = text.Write();

        Assert.Contains("test_objects{cluster=\"b\"} 7\n", before, StringComparison.Ordinal);
        Assert.Contains("test_objects{cluster=\"a\"} 7\n", after, StringComparison.Ordinal);
        Assert.DoesNotContain("cluster=\"b\"", after, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_HostileLabel_IsEscaped()
    {
        using var text = new PrometheusText();
        using var meter = new Meter("MultiCluster.Test.Escape");
        meter.CreateCounter<int>("test.escape").Add(1, new KeyValuePair<string, object?>("message", "a\"b\\c\nd"));

        Assert.Contains("test_escape_total{message=\"a\\\"b\\\\c\\nd\"} 1\n", text.Write(), StringComparison.Ordinal);
    }

    [Fact]
    public void Write_ForeignMeter_IsLeftOut()
    {
        using var text = new PrometheusText();
        using var meter = new Meter("Somebody.Else");
        meter.CreateCounter<int>("foreign").Add(1);

        Assert.DoesNotContain("foreign", text.Write(), StringComparison.Ordinal);
    }
}
