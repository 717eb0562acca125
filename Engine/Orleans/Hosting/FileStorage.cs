using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MultiCluster.Engine.Actors;
using Orleans.Hosting;
using Orleans.Providers;
using Orleans.Runtime.Hosting;

namespace MultiCluster.Engine;

/// <summary>Durable state and reminders of the in-process engine. Orleans has no such thing: only the composition root may call this.</summary>
public static class FileStorageSiloBuilderExtensions
{
    /// <summary>Keeps states and reminders as files below that directory, and makes it the default storage.</summary>
    /// <param name="builder">The silo.</param>
    /// <param name="dataDirectory">Made when missing, readable by its owner only. One process at a time may use it.</param>
    /// <param name="storageNames">Further storage names that grains use in PersistentState attributes.</param>
    public static ISiloBuilder UseFileStorage(this ISiloBuilder builder, string dataDirectory, params string[] storageNames)
    {
        ArgumentException.ThrowIfNullOrEmpty(dataDirectory);
        builder.Services.RemoveAll<DurableDirectory>();
        builder.Services.AddSingleton(_ => new DurableDirectory(dataDirectory));
        foreach (string name in storageNames.Append(ProviderConstants.DEFAULT_STORAGE_PROVIDER_NAME).Distinct(StringComparer.Ordinal))
        {
            builder.Services.AddGrainStorage(
                name, static (services, name) => new FileGrainStorage(services.GetRequiredService<DurableDirectory>(), name));
        }

        builder.Services.AddReminderService(static services => ActivatorUtilities.CreateInstance<FileReminderTable>(services));
        return builder;
    }
}
