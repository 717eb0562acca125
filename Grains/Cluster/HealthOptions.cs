using Microsoft.Extensions.Options;

namespace MultiCluster.Grains.Cluster;

/// <summary>How the health of a member cluster is found out; section <c>Health</c>.</summary>
public sealed class HealthOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Health";

    /// <summary>Time from the end of one probe to the start of the next, drawn anew each time up to a tenth shorter, so that many clusters spread.</summary>
    /// <value>Default 10 seconds, from 100 ms to 10 minutes. Together with <see cref="DownAfter"/> it decides how soon an outage shows.</value>
    public TimeSpan ProbeInterval { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long one probe may take before it counts as no answer.</summary>
    /// <value>Default 5 seconds, from 50 ms to 1 minute.</value>
    public TimeSpan ProbeTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a good answer may take before the cluster counts as slow, which shows as <c>Degraded</c>.</summary>
    /// <value>Default 2 seconds, from 10 ms up; from <see cref="ProbeTimeout"/> on nothing is slow.</value>
    public TimeSpan SlowAfter { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Probes in a row that must find a cluster worse than it shows before it shows as worse.</summary>
    /// <value>Default 3, from 1 to 100.</value>
    public int DownAfter { get; set; } = 3;

    /// <summary>Probes in a row that must find a cluster better than it shows before it shows as better.</summary>
    /// <value>Default 1, from 1 to 100. Higher calms a cluster that flaps.</value>
    public int UpAfter { get; set; } = 1;

    /// <summary>The version is asked for with the first good probe after a bad one and then with every so many good ones.</summary>
    /// <value>Default 6, from 1 to 1,000: an upgrade shows within a minute.</value>
    public int VersionEvery { get; set; } = 6;

    /// <summary>How long all checks of a registration or of new credentials may take together.</summary>
    /// <value>Default 15 seconds, from 1 second to 2 minutes.</value>
    public TimeSpan CheckTimeout { get; set; } = TimeSpan.FromSeconds(15);
}

internal sealed class HealthOptionsValidator : IValidateOptions<HealthOptions>
{
    public ValidateOptionsResult Validate(string? name, HealthOptions options)
    {
        var faults = new ValidateOptionsResultBuilder();
        Within(options.ProbeInterval, TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(10), nameof(options.ProbeInterval));
        Within(options.ProbeTimeout, TimeSpan.FromMilliseconds(50), TimeSpan.FromMinutes(1), nameof(options.ProbeTimeout));
        Within(options.SlowAfter, TimeSpan.FromMilliseconds(10), TimeSpan.FromDays(1), nameof(options.SlowAfter));
        Require(options.DownAfter is >= 1 and <= 100, "Health:DownAfter must lie between 1 and 100.");
        Require(options.UpAfter is >= 1 and <= 100, "Health:UpAfter must lie between 1 and 100.");
        Require(options.VersionEvery is >= 1 and <= 1_000, "Health:VersionEvery must lie between 1 and 1000.");
        Within(options.CheckTimeout, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(2), nameof(options.CheckTimeout));
        return faults.Build();

        void Require(bool holds, string rule)
        {
            if (!holds)
            {
                faults.AddError(rule);
            }
        }

        void Within(TimeSpan value, TimeSpan least, TimeSpan most, string property)
            => Require(value >= least && value <= most, $"Health:{property} must lie between {least} and {most}; it is {value}.");
    }
}
