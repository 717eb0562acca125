using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace MultiCluster.Silo.Hosting;

/// <summary>What the service makes of the section <c>Logging</c>, and of lines that clients can cause at will.</summary>
internal static class LogSettings
{
    private const string Section = "Logging";
    private const string Levels = "LogLevel";
    private const string Formatter = "Logging:Console:FormatterName";
    private static readonly string[] Forms = [ConsoleFormatterNames.Simple, ConsoleFormatterNames.Json];

    /// <summary>Looks for levels that there are not; the logging framework would end the start with its own stack.</summary>
    /// <exception cref="ServiceStartException">There is one.</exception>
    public static void Check(IConfiguration configuration)
    {
        IConfigurationSection logging = configuration.GetSection(Section);

        // Beside the levels for all there may be those of one provider: Logging:Console:LogLevel.
        IEnumerable<IConfigurationSection> levels = logging.GetChildren()
            .SelectMany(part => part.Key.Equals(Levels, StringComparison.OrdinalIgnoreCase) ? part.GetChildren() : part.GetSection(Levels).GetChildren());
        string[] faults =
        [
            .. levels.Where(level => !string.IsNullOrEmpty(level.Value) && !Enum.TryParse<LogLevel>(level.Value, ignoreCase: true, out _))
                .Select(level => $"{level.Path} is '{level.Value}', and must be one of {string.Join(", ", Enum.GetNames<LogLevel>())}."),
            .. configuration[Formatter] is { Length: > 0 } form && !Forms.Contains(form, StringComparer.OrdinalIgnoreCase)
                ? (string[])[$"{Formatter} is '{form}', and must be one of {string.Join(", ", Forms)}."] : [],
        ];
        if (faults.Length > 0)
        {
            throw new ServiceStartException(string.Join(' ', faults));
        }
    }

    /// <summary>Writes one JSON document per line where that is asked for; the slim host knows its simple form only.</summary>
    public static void ChooseForm(ILoggingBuilder logging, IConfiguration configuration)
    {
        if (ConsoleFormatterNames.Json.Equals(configuration[Formatter], StringComparison.OrdinalIgnoreCase))
        {
            logging.AddJsonConsole();
        }
    }

    /// <summary>Lets what is written to the console tell its time in UTC, unless something else is set.</summary>
    public static void GiveTimes(ConfigurationManager configuration) => configuration.Sources.Insert(0, new MemoryConfigurationSource
    {
        InitialData =
        [
            new("Logging:Console:FormatterOptions:TimestampFormat", "yyyy-MM-dd'T'HH:mm:ss.fff'Z '"),
            new("Logging:Console:FormatterOptions:UseUtcTimestamp", "true"),
        ],
    });

    /// <summary>Keeps clients from filling the log.</summary>
    public static void QuietenHostileClients(ILoggingBuilder logging)
    {
        logging.Services.AddSingleton<LoggerFactory>();
        logging.Services.AddSingleton<ILoggerFactory, ClientFaultLoggers>();
    }
}

/// <summary>Loggers as ever, but for what Kestrel calls critical although it has done its work: it has ended one connection of a client that floods it.</summary>
/// <remarks>
/// Such a line per connection lets anybody on the network fill the log and hide what matters. It is told at debug level instead;
/// the metric <c>kestrel.connection.duration</c> counts these connections by their <c>error.type</c>.
/// </remarks>
internal sealed class ClientFaultLoggers(LoggerFactory loggers) : ILoggerFactory
{
    private const string Category = "Microsoft.AspNetCore.Server.Kestrel.Http2";

    // A client resets its streams faster than it reads what we answer (CVE-2023-44487).
    private const string TooManyAnswersQueued = "Http2QueueOperationsExceeded";

    public ILogger CreateLogger(string categoryName) =>
        categoryName == Category ? new Quieter(loggers.CreateLogger(categoryName)) : loggers.CreateLogger(categoryName);

    public void AddProvider(ILoggerProvider provider) => loggers.AddProvider(provider);

    public void Dispose() => loggers.Dispose();

    private sealed class Quieter(ILogger inner) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => inner.BeginScope(state);

        public bool IsEnabled(LogLevel logLevel) => inner.IsEnabled(logLevel);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            inner.Log(eventId.Name == TooManyAnswersQueued ? LogLevel.Debug : logLevel, eventId, state, exception, formatter);
    }
}
