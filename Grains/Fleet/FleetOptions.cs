using Microsoft.Extensions.Options;

namespace MultiCluster.Grains.Fleet;

/// <summary>How the fleet remembers, reports and starts its clusters; section <c>Fleet</c>.</summary>
public sealed class FleetOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Fleet";

    /// <summary>How long a cluster that left is remembered, and its objects with it, so that watches learn of the leave.</summary>
    /// <value>Default 10 minutes, from 1 second to 1 day: as long as a watch may be away and still resume.</value>
    public TimeSpan DepartureWindow { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Most clusters that are remembered after they left; the oldest are forgotten first.</summary>
    /// <value>Default 1,000, from 0 to 100,000. A watch that resumes from before a forgotten one must list again.</value>
    public int MaxDepartures { get; set; } = 1_000;

    /// <summary>How many clusters are started at the same time when the fleet comes back.</summary>
    /// <value>Default 16, from 1 to 1,000. Higher comes back sooner and loads storage more.</value>
    public int StartConcurrency { get; set; } = 16;

    /// <summary>How long one cluster may take to start before the next takes its place; it is tried again later.</summary>
    /// <value>Default 30 seconds, from 1 second to 10 minutes.</value>
    public TimeSpan StartTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How often the fleet looks for clusters that have gone silent, to start them again.</summary>
    /// <value>Default 15 seconds, from 1 second to 10 minutes.</value>
    public TimeSpan SweepInterval { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Shortest time between two summaries of one cluster.</summary>
    /// <value>Default 1 second, from 50 ms to 1 minute. Shorter shows changes sooner and costs a call each.</value>
    public TimeSpan ReportInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Longest time between two summaries of one cluster, though nothing changed.</summary>
    /// <value>Default 15 seconds, at least <see cref="ReportInterval"/>. The fleet starts a cluster anew that is silent for three of these.</value>
    public TimeSpan Heartbeat { get; set; } = TimeSpan.FromSeconds(15);
}

internal sealed class FleetOptionsValidator : IValidateOptions<FleetOptions>
{
    public ValidateOptionsResult Validate(string? name, FleetOptions options)
    {
        var faults = new ValidateOptionsResultBuilder();
        Within(options.DepartureWindow, TimeSpan.FromSeconds(1), TimeSpan.FromDays(1), nameof(options.DepartureWindow));
        Require(options.MaxDepartures is >= 0 and <= 100_000, "Fleet:MaxDepartures must lie between 0 and 100000.");
        Require(options.StartConcurrency is >= 1 and <= 1_000, "Fleet:StartConcurrency must lie between 1 and 1000.");
        Within(options.StartTimeout, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(10), nameof(options.StartTimeout));
        Within(options.SweepInterval, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(10), nameof(options.SweepInterval));
        Within(options.ReportInterval, TimeSpan.FromMilliseconds(50), TimeSpan.FromMinutes(1), nameof(options.ReportInterval));
        Within(options.Heartbeat, options.ReportInterval, TimeSpan.FromMinutes(10), nameof(options.Heartbeat));
        return faults.Build();

        void Require(bool holds, string rule)
        {
            if (!holds)
            {
                faults.AddError(rule);
            }
        }

        void Within(TimeSpan value, TimeSpan least, TimeSpan most, string property)
            => Require(value >= least && value <= most, $"Fleet:{property} must lie between {least} and {most}; it is {value}.");
    }
}
