using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using MultiCluster.Silo.Observability;

namespace MultiCluster.Silo.Tests.Observability;

/// <summary>Listens to the figures of the test's grains as an exporter does: what is counted adds up, what is observed is asked for.</summary>
internal sealed class GrainReadings : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, double> _values = new(StringComparer.Ordinal);

    public GrainReadings()
    {
        _listener.InstrumentPublished = static (instrument, listener) =>
        {
            if (instrument.Meter.Name == GrainMetrics.MeterName)
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.Start();
    }

    /// <summary>Everything that is known, by name and labels; of a histogram how often it was recorded.</summary>
    public IReadOnlyDictionary<string, double> Now
    {
        get
        {
            foreach (string observed in _values.Keys.Where(k => !k.Contains(".duration", StringComparison.Ordinal)))
            {
                _values.TryRemove(observed, out _);
            }

            _listener.RecordObservableInstruments();
            return new Dictionary<string, double>(_values, StringComparer.Ordinal);
        }
    }

    /// <summary>Asks until the figure is as wished, or ten seconds are over; the last ones are in the message then.</summary>
    public async Task UntilAsync(string figure, double value)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            IReadOnlyDictionary<string, double> now = Now;
            if (now.GetValueOrDefault(figure) == value)
            {
                return;
            }

            Assert.True(
                TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromSeconds(10),
                $"{figure} is not {value.ToString(CultureInfo.InvariantCulture)}: {string.Join(", ", now)}");
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, CancellationToken.None);
        }
    }

    public void Dispose() => _listener.Dispose();

    private void Take(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var labels = new List<string>();
        foreach ((string key, object? text) in tags)
        {
            labels.Add($"{key}={text}");
        }

        // Other tests of this process run services with grains of their own.
        if (!labels.Contains("grain_type=metered"))
        {
            return;
        }

        string name = $"{instrument.Name}{{{string.Join(',', labels)}}}";
        _ = instrument.IsObservable ? _values[name] = value : _values.AddOrUpdate(name, 1, static (_, count) => count + 1);
    }
}
