using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Orleans;
using Orleans.Hosting;
using Orleans.Providers;
using Orleans.Runtime.Hosting;

namespace MultiCluster.Silo.Storage;

/// <summary>States and reminders in files, for a silo that is alone.</summary>
internal static class FileStorageSiloBuilderExtensions
{
    /// <summary>Keeps states and reminders as files below that directory, and makes it the default storage.</summary>
    /// <param name="builder">The silo.</param>
    /// <param name="directory">Made when missing, readable by its owner only. One silo at a time may use it.</param>
    /// <param name="storageNames">Further storage names that grains use in PersistentState attributes.</param>
    public static ISiloBuilder UseFileStorage(this ISiloBuilder builder, string directory, params string[] storageNames)
    {
        ArgumentException.ThrowIfNullOrEmpty(directory);
        builder.Services.AddSingleton(_ => new DurableDirectory(directory));
        foreach (string name in storageNames.Append(ProviderConstants.DEFAULT_STORAGE_PROVIDER_NAME).Distinct(StringComparer.Ordinal))
        {
            builder.Services.AddGrainStorage(
                name, static (services, name) => new FileGrainStorage(services.GetRequiredService<DurableDirectory>(), name));
        }

        builder.AddReminders();
        builder.Services.RemoveAll<IReminderTable>();
        builder.Services.AddSingleton<IReminderTable, FileReminderTable>();
        return builder;
    }
}
