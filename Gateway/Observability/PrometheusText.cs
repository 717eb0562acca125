using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace MultiCluster.Gateway.Observability;

/// <summary>Collects the instruments of the process and writes them in the Prometheus text format 0.0.4.</summary>
/// <remarks>
/// Listens to our own meters and the framework's for HTTP. Each instrument keeps at most <see cref="MaxSeries"/> label sets; further ones are counted
/// in <c>multicluster_metrics_dropped_total</c> instead of growing the process. Thread-safe.
/// </remarks>
public sealed class PrometheusText : IDisposable
{
    // A fleet of 1,000 clusters with a few series a cluster and kind fits; a label that is drawn per request does not.
    private const int MaxSeries = 20_000;

    private static readonly string[] MeterPrefixes = ["MultiCluster", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime"];

    // Seconds; from half a millisecond, where our reads begin, to the longest deadline of a request.
    private static readonly double[] Bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];

    private readonly MeterListener _listener = new();
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, Family> _families = new(StringComparer.Ordinal);
    private long _dropped;

    /// <summary>Begins to listen.</summary>
    /// <param name="meters">The host's own; the instruments of other hosts in the same process are left to those. Null for everybody's.</param>
    public PrometheusText(IMeterFactory? meters = null)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            bool isForeign = meters is not null && instrument.Meter.Scope is IMeterFactory other && other != meters;
            if (!isForeign && MeterPrefixes.Any(p => instrument.Meter.Name.StartsWith(p, StringComparison.Ordinal)))
            {
                listener.EnableMeasurementEvents(instrument, FamilyOf(instrument));
            }
        };
        _listener.SetMeasurementEventCallback<byte>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<short>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<int>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<long>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<float>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<double>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<decimal>((_, value, tags, state) => Record(state, (double)value, tags));
        _listener.Start();
    }

    private enum FamilyType
    {
        Counter,
        Gauge,
        ObservedCounter,
        ObservedGauge,
        UpDown,
        Histogram,
    }

    /// <summary>Everything that is known now.</summary>
    public string Write()
    {
        lock (_gate)
        {
            // What is observed anew would otherwise keep the series of clusters that have left.
            foreach (Family family in _families.Values.Where(f => f.Type is FamilyType.ObservedGauge or FamilyType.ObservedCounter))
            {
                family.Clear();
            }
        }

        _listener.RecordObservableInstruments();
        var text = new StringBuilder(64 * 1024);
        lock (_gate)
        {
            foreach (Family family in _families.Values)
            {
                family.WriteTo(text);
            }
        }

        text.Append("# TYPE multicluster_metrics_dropped_total counter\nmulticluster_metrics_dropped_total ")
            .Append(Interlocked.Read(ref _dropped)).Append('\n');
        return text.ToString();
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private Family FamilyOf(Instrument instrument)
    {
        FamilyType type = TypeOf(instrument);
        string name = NameOf(instrument, type);
        lock (_gate)
        {
            if (!_families.TryGetValue(name, out Family? family))
            {
                family = new Family(name, instrument.Description ?? "", type);
                _families.Add(name, family);
            }

            return family;
        }
    }

    private static FamilyType TypeOf(Instrument instrument)
    {
        string type = instrument.GetType().Name;
        return type switch
        {
            _ when type.StartsWith("Histogram", StringComparison.Ordinal) => FamilyType.Histogram,
            _ when type.StartsWith("Counter", StringComparison.Ordinal) => FamilyType.Counter,
            _ when type.StartsWith("UpDownCounter", StringComparison.Ordinal) => FamilyType.UpDown,
            _ when type.StartsWith("ObservableCounter", StringComparison.Ordinal) => FamilyType.ObservedCounter,
            _ when instrument.IsObservable => FamilyType.ObservedGauge,
            _ => FamilyType.Gauge,
        };
    }

    private static string NameOf(Instrument instrument, FamilyType type)
    {
        var name = new StringBuilder(Sanitize(instrument.Name));
        string unit = instrument.Unit switch
        {
            "s" => "_seconds",
            "By" => "_bytes",
            _ => "",
        };
        if (unit.Length > 0 && !name.ToString().EndsWith(unit, StringComparison.Ordinal))
        {
            name.Append(unit);
        }

        if (type is FamilyType.Counter or FamilyType.ObservedCounter)
        {
            name.Append("_total");
        }

        return name.ToString();
    }

    private static string Sanitize(string name) =>
        string.Create(name.Length, name, static (to, from) =>
        {
            for (int i = 0; i < from.Length; i++)
            {
                to[i] = char.IsAsciiLetterOrDigit(from[i]) ? from[i] : '_';
            }
        });

    private void Record(object? state, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (state is not Family family)
        {
            return;
        }

        if (!family.Record(value, tags))
        {
            Interlocked.Increment(ref _dropped);
        }
    }

    private static string Labels(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.IsEmpty)
        {
            return "";
        }

        var text = new StringBuilder();
        foreach ((string key, object? value) in tags)
        {
            if (text.Length > 0)
            {
                text.Append(',');
            }

            text.Append(Sanitize(key)).Append("=\"");
            foreach (char c in Convert.ToString(value, CultureInfo.InvariantCulture) ?? "")
            {
                _ = c switch
                {
                    '\\' => text.Append("\\\\"),
                    '"' => text.Append("\\\""),
                    '\n' => text.Append("\\n"),
                    _ => text.Append(c),
                };
            }

            text.Append('"');
        }

        return text.ToString();
    }

    private sealed class Series(long[]? buckets)
    {
        private double _value;
        private long _count;

        public void Record(double value, bool adds)
        {
            if (buckets is null)
            {
                _value = adds ? _value + value : value;
                return;
            }

            _value += value;
            _count++;
            for (int i = 0; i < Bounds.Length; i++)
            {
                if (value <= Bounds[i])
                {
                    buckets[i]++;
                }
            }
        }

        public void WriteTo(StringBuilder text, string name, string labels)
        {
            if (buckets is null)
            {
                Sample(text, name, labels, _value);
                return;
            }

            string comma = labels.Length > 0 ? "," : "";
            for (int i = 0; i < Bounds.Length; i++)
            {
                Sample(text, $"{name}_bucket", $"{labels}{comma}le=\"{Bounds[i].ToString(CultureInfo.InvariantCulture)}\"", buckets[i]);
            }

            Sample(text, $"{name}_bucket", $"{labels}{comma}le=\"+Inf\"", _count);
            Sample(text, $"{name}_sum", labels, _value);
            Sample(text, $"{name}_count", labels, _count);
        }

        private static void Sample(StringBuilder text, string name, string labels, double value)
        {
            text.Append(name);
            if (labels.Length > 0)
            {
                text.Append('{').Append(labels).Append('}');
            }

            text.Append(' ').Append(value.ToString("R", CultureInfo.InvariantCulture)).Append('\n');
        }
    }

    /// <summary>The series of one name. Thread-safe.</summary>
    private sealed class Family(string name, string help, FamilyType type)
    {
        private readonly Lock _gate = new();
        private readonly SortedDictionary<string, Series> _series = new(StringComparer.Ordinal);

        // By the tags as they come: what is measured thousands of times a second must not write its labels out each time.
        private readonly Dictionary<KeyValuePair<string, object?>[], Series> _byTags = new(TagComparer.Instance);

        public FamilyType Type { get; } = type;

        public void Clear()
        {
            lock (_gate)
            {
                _series.Clear();
                _byTags.Clear();
            }
        }

        /// <summary>Takes the value in; false when it would be a series too many.</summary>
        public bool Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            lock (_gate)
            {
                if (!_byTags.GetAlternateLookup<ReadOnlySpan<KeyValuePair<string, object?>>>().TryGetValue(tags, out Series? series))
                {
                    string labels = Labels(tags);
                    if (!_series.TryGetValue(labels, out series))
                    {
                        if (_series.Count >= MaxSeries)
                        {
                            return false;
                        }

                        series = new Series(Type == FamilyType.Histogram ? new long[Bounds.Length] : null);
                        _series.Add(labels, series);
                    }

                    _byTags.Add(tags.ToArray(), series);
                }

                series.Record(value, Type is FamilyType.Counter or FamilyType.UpDown);
                return true;
            }
        }

        public void WriteTo(StringBuilder text)
        {
            lock (_gate)
            {
                if (_series.Count > 0)
                {
                    Write(text);
                }
            }
        }

        private void Write(StringBuilder text)
        {
            if (help.Length > 0)
            {
                text.Append("# HELP ").Append(name).Append(' ').Append(help.Replace('\n', ' ')).Append('\n');
            }

            text.Append("# TYPE ").Append(name).Append(' ').Append(Type switch
            {
                FamilyType.Histogram => "histogram",
                FamilyType.Counter or FamilyType.ObservedCounter => "counter",
                _ => "gauge",
            }).Append('\n');
            foreach ((string labels, Series series) in _series)
            {
                series.WriteTo(text, name, labels);
            }
        }
    }

    private sealed class TagComparer
        : IEqualityComparer<KeyValuePair<string, object?>[]>, IAlternateEqualityComparer<ReadOnlySpan<KeyValuePair<string, object?>>, KeyValuePair<string, object?>[]>
    {
        public static readonly TagComparer Instance = new();

        public bool Equals(KeyValuePair<string, object?>[]? x, KeyValuePair<string, object?>[]? y) => ReferenceEquals(x, y) || (x is not null && y is not null && Equals(x.AsSpan(), y));

        public bool Equals(ReadOnlySpan<KeyValuePair<string, object?>> alternate, KeyValuePair<string, object?>[] other)
        {
            if (alternate.Length != other.Length)
            {
                return false;
            }

            for (int i = 0; i < other.Length; i++)
            {
                if (alternate[i].Key != other[i].Key || !Equals(alternate[i].Value, other[i].Value))
                {
                    return false;
                }
            }

            return true;
        }

        public int GetHashCode(KeyValuePair<string, object?>[] obj) => GetHashCode(obj.AsSpan());

        // One instrument names its tags alike; it is the values that differ.
        public int GetHashCode(ReadOnlySpan<KeyValuePair<string, object?>> alternate)
        {
            var hash = default(HashCode);
            foreach ((_, object? value) in alternate)
            {
                hash.Add(value);
            }

            return hash.ToHashCode();
        }

        public KeyValuePair<string, object?>[] Create(ReadOnlySpan<KeyValuePair<string, object?>> alternate) => alternate.ToArray();
    }
}
