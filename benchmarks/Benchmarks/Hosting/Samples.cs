using System.Globalization;

namespace MultiCluster.Benchmarks.Hosting;

/// <summary>Measured times in milliseconds, and what is said of them. Not thread-safe.</summary>
internal sealed class Samples
{
    private readonly List<double> _values = [];
    private bool _isOrdered = true;

    public int Count => _values.Count;

    public double Median => At(0.5);

    public double P99 => At(0.99);

    public double Max => At(1);

    public void Add(double milliseconds)
    {
        _values.Add(milliseconds);
        _isOrdered = false;
    }

    public void Add(TimeSpan time) => Add(time.TotalMilliseconds);

    public void Add(Samples others)
    {
        _values.AddRange(others._values);
        _isOrdered = false;
    }

    /// <summary>The value that this share of the values does not exceed.</summary>
    public double At(double share)
    {
        if (_values.Count == 0)
        {
            throw new InvalidOperationException("Nothing was measured.");
        }

        if (!_isOrdered)
        {
            _values.Sort();
            _isOrdered = true;
        }

        return _values[Math.Clamp((int)Math.Ceiling(share * _values.Count) - 1, 0, _values.Count - 1)];
    }
}

/// <summary>How busy the machine is beside us.</summary>
internal static class Load
{
    /// <summary>Load average of the last minute.</summary>
    public static string Average => File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "unknown";

    public static string Text(double value) => value.ToString(value < 10 ? "f2" : value < 100 ? "f1" : "f0", CultureInfo.InvariantCulture);
}
