using Microsoft.Extensions.Options;

namespace MultiCluster.Gateway.Reads;

/// <summary>How many watches may be open at once; section <c>Watches</c>.</summary>
public sealed class WatchOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Watches";

    /// <summary>Watches that one user may have open at once, over all surfaces together.</summary>
    /// <value>Default 500, from 1 to 100,000: a scheduler may hold one for each kind.</value>
    public int PerUser { get; set; } = 500;

    /// <summary>Watches of all users together.</summary>
    /// <value>Default 1,000, from 1 to 100,000. One whose reader takes nothing may hold a few megabytes until it is cut off after about a minute.</value>
    public int PerProcess { get; set; } = 1_000;
}

internal sealed class WatchOptionsValidator : IValidateOptions<WatchOptions>
{
    private const int Most = 100_000;

    public ValidateOptionsResult Validate(string? name, WatchOptions options)
    {
        var faults = new ValidateOptionsResultBuilder();
        Within(options.PerUser, nameof(options.PerUser));
        Within(options.PerProcess, nameof(options.PerProcess));
        return faults.Build();

        void Within(int value, string property)
        {
            if (value is < 1 or > Most)
            {
                faults.AddError(FormattableString.Invariant($"Watches:{property} must lie between 1 and {Most}; it is {value}."));
            }
        }
    }
}
