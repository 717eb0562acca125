using Microsoft.Extensions.Options;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Cluster;

/// <summary>Checks the section <c>Client</c>, and of <c>Mirror</c> what the reflectors take, at start instead of at the first request.</summary>
internal sealed class ClientOptionsValidator : IValidateOptions<KubeClientOptions>, IValidateOptions<ReflectorOptions>
{
    public ValidateOptionsResult Validate(string? name, KubeClientOptions options)
    {
        var faults = new ValidateOptionsResultBuilder();
        Within(faults, "Client:RequestTimeout", options.RequestTimeout, TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1));
        Within(faults, "Client:HeadersTimeout", options.HeadersTimeout, TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1));
        Within(faults, "Client:RequestsPerSecond", options.RequestsPerSecond, 0.1, 100_000);
        Within(faults, "Client:Burst", options.Burst, 1, 100_000);
        Within(faults, "Client:MaxLimiterWait", options.MaxLimiterWait, TimeSpan.Zero, TimeSpan.FromHours(1));
        Within(faults, "Client:MaxConnections", options.MaxConnections, 1, 10_000);
        Within(faults, "Client:MaxStreamConnections", options.MaxStreamConnections, 1, 10_000);
        Within(faults, "Client:MaxRetries", options.MaxRetries, 0, 20);
        Within(faults, "Client:MaxResponseBytes", options.MaxResponseBytes, 1 << 20, 1 << 30);
        Within(faults, "Client:MaxProbeBytes", options.MaxProbeBytes, 4 << 10, 16 << 20);
        Within(faults, "Client:MaxReviewBytes", options.MaxReviewBytes, 16 << 10, 64 << 20);
        Within(faults, "Client:MaxDiscoveryBytes", options.MaxDiscoveryBytes, 256 << 10, 256 << 20);
        Within(faults, "Client:MaxHeldBytes", options.MaxHeldBytes, 1L << 20, 1L << 40);
        Within(faults, "Client:MaxHeldBytesPerCluster", options.MaxHeldBytesPerCluster, 1L << 20, 1L << 40);
        Within(faults, "Client:MaxHeldWait", options.MaxHeldWait, TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(1));
        if (options.MaxHeldBytesPerCluster < options.MaxResponseBytes)
        {
            faults.AddError("Client:MaxHeldBytesPerCluster must be at least Client:MaxResponseBytes, so that one answer always fits.");
        }

        if (options.MaxHeldBytes < options.MaxHeldBytesPerCluster)
        {
            faults.AddError("Client:MaxHeldBytes must be at least Client:MaxHeldBytesPerCluster.");
        }

        Within(faults, "Client:ConnectionLifetime", options.ConnectionLifetime, TimeSpan.FromSeconds(1), TimeSpan.FromDays(1));
        Within(faults, "Client:KeepAliveDelay", options.KeepAliveDelay, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(10));
        return faults.Build();
    }

    public ValidateOptionsResult Validate(string? name, ReflectorOptions options)
    {
        var faults = new ValidateOptionsResultBuilder();
        Within(faults, "Mirror:PageSize", options.PageSize, 1, 10_000);
        Within(faults, "Mirror:MinWatchTimeout", options.MinWatchTimeout, TimeSpan.FromMilliseconds(10), TimeSpan.FromHours(12));
        Within(faults, "Mirror:MaxObjectBytes", options.MaxObjectBytes, 64 << 10, 256 << 20);
        Within(faults, "Mirror:ListStallTimeout", options.ListStallTimeout, TimeSpan.FromMilliseconds(10), TimeSpan.FromHours(1));
        Within(faults, "Mirror:ListTimeout", options.ListTimeout, TimeSpan.FromMilliseconds(10), TimeSpan.FromDays(1));
        return faults.Build();
    }

    private static void Within<T>(ValidateOptionsResultBuilder faults, string setting, T value, T least, T most)
        where T : IComparable<T>
    {
        if (value.CompareTo(least) < 0 || value.CompareTo(most) > 0)
        {
            faults.AddError(FormattableString.Invariant($"{setting} must lie between {least} and {most}; it is {value}."));
        }
    }
}
