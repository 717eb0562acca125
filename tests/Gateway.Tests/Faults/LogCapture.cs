using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace MultiCluster.Gateway.Tests.Faults;

/// <summary>One line that the service logged.</summary>
/// <param name="Level">Level.</param>
/// <param name="Event">Name of the event.</param>
/// <param name="Text">The line, with its exception.</param>
internal sealed record LogLine(LogLevel Level, string Event, string Text)
{
    public override string ToString() => $"{Level} {Event}: {Text}";
}

/// <summary>Keeps what the service logs from Information up. Thread-safe.</summary>
internal sealed class LogCapture : ILoggerProvider, ILogger
{
    private readonly ConcurrentQueue<LogLine> _lines = new();

    public IReadOnlyCollection<LogLine> Lines => _lines;

    /// <summary>What was logged about one cluster at these levels and above.</summary>
    public LogLine[] About(string cluster, LogLevel least) =>
        [.. _lines.Where(line => line.Level >= least && line.Text.Contains($"Cluster {cluster}:", StringComparison.Ordinal))];

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
        {
            _lines.Enqueue(new LogLine(logLevel, eventId.Name ?? "", $"{formatter(state, exception)} {exception}"));
        }
    }

    public void Dispose()
    {
        // What was captured is read after the service has stopped, too.
    }
}
