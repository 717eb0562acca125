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
    public void Write_LabelsOfOneText_AreOneSeries()
    {
        using var text = new PrometheusText();
        using var meter = new Meter("MultiCluster.Test.Same");
        Counter<int> counter = meter.CreateCounter<int>("test.same");
        counter.Add(1, new KeyValuePair<string, object?>("code", 5));
        counter.Add(1, new KeyValuePair<string, object?>("code", "5"));
        counter.Add(1, new KeyValuePair<string, object?>("kind", "5"));
        counter.Add(1);

        string written = text.Write();

        Assert.Contains("test_same_total 1\ntest_same_total{code=\"5\"} 2\ntest_same_total{kind=\"5\"} 1\n", written, StringComparison.Ordinal);
    }

    // What is measured at every call of a grain must not feed the garbage collector.
    [Fact]
    public void Record_KnownLabels_AllocatesNothing()
    {
        using var text = new PrometheusText();
        using var meter = new Meter("MultiCluster.Test.Allocation");
        Histogram<double> histogram = meter.CreateHistogram<double>("test.allocation", "s");
        Record(1);
        long before = GC.GetAllocatedBytesForCurrentThread();

        Record(1000);

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Contains("test_allocation_seconds_count{grain_type=\"cluster\",method=\"get\"} 1001\n", text.Write(), StringComparison.Ordinal);

        void Record(int times)
        {
            for (int i = 0; i < times; i++)
            {
                histogram.Record(0.001, new KeyValuePair<string, object?>("grain_type", "cluster"), new KeyValuePair<string, object?>("method", "get"));
            }
        }
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
