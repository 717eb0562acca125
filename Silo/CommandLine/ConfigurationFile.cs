using System.Reflection;
using Microsoft.Extensions.Configuration;
using MultiCluster.Gateway.Reads;
using MultiCluster.Grains.Cluster;
using MultiCluster.Grains.Fleet;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.Silo.Database;
using MultiCluster.Silo.Hosting;

namespace MultiCluster.Silo.CommandLine;

/// <summary>The file that <c>--config</c> names. A setting that nobody reads is a mistake of its writer, and is refused.</summary>
internal static class ConfigurationFile
{
    private static readonly Dictionary<string, Type[]> Sections = new(StringComparer.OrdinalIgnoreCase)
    {
        [ServiceSettings.Section] = [typeof(ServiceSettings)],
        [DatabaseSettings.Section] = [typeof(DatabaseSettings)],
        [SiloNetworkSettings.Section] = [typeof(SiloNetworkSettings)],
        [FleetOptions.Section] = [typeof(FleetOptions)],
        [MirrorOptions.Section] = [typeof(MirrorOptions), typeof(ReflectorOptions)],
        [HealthOptions.Section] = [typeof(HealthOptions)],
        ["Client"] = [typeof(KubeClientOptions)],
        [WatchOptions.Section] = [typeof(WatchOptions)],
        ["Logging"] = [],
    };

    /// <summary>Reads and checks it.</summary>
    /// <exception cref="ServiceStartException">It is not there, is no JSON, or holds a setting that does not exist.</exception>
    public static IConfigurationRoot Read(FileInfo file)
    {
        if (!file.Exists)
        {
            throw new ServiceStartException($"There is no configuration file {file.FullName}.");
        }

        IConfigurationRoot read;
        try
        {
            read = new ConfigurationBuilder().AddJsonFile(file.FullName, optional: false).Build();
        }
        catch (InvalidDataException e)
        {
            throw new ServiceStartException($"The configuration file {file.FullName} is not JSON. {e.GetBaseException().Message}");
        }

        string[] faults = [.. read.GetChildren().SelectMany(Check)];
        return faults.Length == 0 ? read : throw new ServiceStartException($"{file.FullName}: {string.Join(' ', faults)}");
    }

    private static IEnumerable<string> Check(IConfigurationSection section)
    {
        if (!Sections.TryGetValue(section.Key, out Type[]? types))
        {
            return [$"There is no section '{section.Key}'; the sections are {string.Join(", ", Sections.Keys)}."];
        }

        string[] known = [.. types.SelectMany(t => t.GetProperties(BindingFlags.Public | BindingFlags.Instance)).Select(p => p.Name).Order(StringComparer.Ordinal)];
        return types.Length == 0
            ? []
            : section.GetChildren().Where(s => !known.Contains(s.Key, StringComparer.OrdinalIgnoreCase))
                .Select(s => $"There is no setting {section.Key}:{s.Key}; the settings of {section.Key} are {string.Join(", ", known)}.");
    }
}
