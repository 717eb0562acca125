using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiCluster.Grains;
using MultiCluster.Silo.Hosting;
using MultiCluster.Silo.Storage;
using Orleans.Hosting;

namespace MultiCluster.Silo.Engines;

/// <summary>What only the in-process engine knows: one process, with states, reminders and keys as files in the data directory.</summary>
internal sealed class EngineSetup : IAsyncDisposable
{
    /// <summary>Name of the engine, for the log of the start.</summary>
    public const string Name = "in-process";

    private readonly string _directory;

    private EngineSetup(string directory) => _directory = directory;

    /// <summary>Makes sure that this engine can do what the settings ask for.</summary>
    /// <exception cref="ServiceStartException">It cannot.</exception>
    public static Task<EngineSetup> CreateAsync(ServiceSettings settings, IConfiguration configuration, string directory, CancellationToken cancellationToken)
    {
        _ = configuration;
        cancellationToken.ThrowIfCancellationRequested();
        return settings.Role == ServiceRole.All
            ? Task.FromResult(new EngineSetup(directory))
            : throw new ServiceStartException(
                $"Service:Role is {settings.Role}, and this build runs everything in one process; leave it out, or build with -p:Engine=Orleans to spread the service over several.");
    }

    /// <summary>Runs <paramref name="open"/>, which may create the files: there is nobody to share them with.</summary>
    public Task ShareFilesAsync(IReadOnlyList<string> names, Action open, CancellationToken cancellationToken)
    {
        _ = names;
        cancellationToken.ThrowIfCancellationRequested();
        open();
        return Task.CompletedTask;
    }

    /// <summary>Adds the engine to the host.</summary>
    public void Configure(WebApplicationBuilder builder)
    {
        builder.Services.AddDataProtection().PersistKeysToFileSystem(new DirectoryInfo(Path.Combine(_directory, DataDirectory.KeysFolder)));
        builder.UseOrleans(silo => silo.UseLocalhostClustering()
            .AddGrainFigures()
            .UseFileStorage(Path.Combine(_directory, "state"), GrainsServiceCollectionExtensions.StorageName));
    }

    /// <summary>Takes what this process needs to itself: it has the data directory already.</summary>
    public Task ClaimAsync(IServiceProvider services, CancellationToken cancellationToken)
    {
        _ = services;
        return cancellationToken.IsCancellationRequested ? Task.FromCanceled(cancellationToken) : Task.CompletedTask;
    }

    /// <summary>Whether other processes have taken over what this one did: there are none.</summary>
    public bool IsReplaced(IServiceProvider services)
    {
        _ = services;
        return false;
    }

    /// <summary>Adds what the engine shows over HTTP: nothing.</summary>
    public void Map(WebApplication app) => _ = app;

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
