using Orleans.Hosting;

namespace MultiCluster.Engine;

/// <summary>Durable state and reminders of the in-process engine. Orleans has no such thing: only the composition root may call this.</summary>
public static class FileStorageSiloBuilderExtensions
{
    /// <summary>Keeps states and reminders as files below that directory, and makes it the default storage.</summary>
    /// <param name="builder">The silo.</param>
    /// <param name="dataDirectory">Made when missing, readable by its owner only. One process at a time may use it.</param>
    /// <param name="storageNames">Further storage names that grains use in PersistentState attributes.</param>
    public static ISiloBuilder UseFileStorage(this ISiloBuilder builder, string dataDirectory, params string[] storageNames) =>
        throw new NotSupportedException($"{builder}{dataDirectory}{storageNames}");
}
