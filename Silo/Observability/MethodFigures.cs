using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace MultiCluster.Silo.Observability;

/// <summary>Counts the calls of one method of one type of grain. Thread-safe, and without a word to the heap unless a call fails.</summary>
internal sealed class MethodFigures
{
    // Types of errors are few; this is for code that makes them up.
    private const int MaxErrors = 20;

    private const string OtherErrors = "other";

    private readonly string _grainType;
    private readonly string _method;
    private readonly KeyValuePair<string, object?>[] _labels;
    private readonly Histogram<double> _duration;
    private readonly ConcurrentDictionary<string, long> _failures = new(StringComparer.Ordinal);
    private long _answered;
    private long _failed;
    private long _cancelled;

    public MethodFigures(string grainType, string method, Histogram<double> duration)
    {
        (_grainType, _method, _duration) = (grainType, method, duration);
        _labels = [new(GrainMetrics.GrainTypeLabel, grainType), new("method", method)];
    }

    /// <summary>How many calls there were, by their outcome; those that never were are left out.</summary>
    public IEnumerable<Measurement<long>> Calls
    {
        get
        {
            (string Outcome, long Count)[] calls =
                [("ok", Interlocked.Read(ref _answered)), ("failed", Interlocked.Read(ref _failed)), ("cancelled", Interlocked.Read(ref _cancelled))];
            return calls.Where(c => c.Count > 0).Select(c => Labelled(c.Count, "outcome", c.Outcome));
        }
    }

    /// <summary>How often it failed, by the type of the error.</summary>
    public IEnumerable<Measurement<long>> Failures => _failures.Select(f => Labelled(f.Value, "error", f.Key));

    public void Answered() => Interlocked.Increment(ref _answered);

    /// <summary>The caller no longer wanted it, which is no failure.</summary>
    public void Cancelled() => Interlocked.Increment(ref _cancelled);

    public void Failed(Exception error)
    {
        Interlocked.Increment(ref _failed);
        Broke(error);
    }

    /// <summary>A stream that was opened well has failed later on.</summary>
    public void Broke(Exception error)
    {
        string name = error.GetType().Name;
        _failures.AddOrUpdate(_failures.Count < MaxErrors || _failures.ContainsKey(name) ? name : OtherErrors, 1, static (_, count) => count + 1);
    }

    public void Took(TimeSpan time) => _duration.Record(time.TotalSeconds, _labels);

    private Measurement<long> Labelled(long value, string label, string text) =>
        new(value, new(GrainMetrics.GrainTypeLabel, _grainType), new("method", _method), new(label, text));
}
