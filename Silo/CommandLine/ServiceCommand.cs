using System.Collections.Immutable;
using System.CommandLine;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Silo.Database;
using MultiCluster.Silo.Demo;
using MultiCluster.Silo.Hosting;
using Npgsql;

namespace MultiCluster.Silo.CommandLine;

/// <summary>The command line: serve (the default) and demo.</summary>
internal static class ServiceCommand
{
    private static readonly Option<string?> Data = new("--data") { Description = "Folder for keys, certificates, the admin token and the registrations (default: data)." };
    private static readonly Option<string?> Listen = new("--listen") { Description = "ADDRESS:PORT of the API over TLS (default: 127.0.0.1:8443; port 0 takes a free one)." };
    private static readonly Option<string?> ListenMetrics = new("--listen-metrics") { Description = "ADDRESS:PORT of /healthz, /readyz and /metrics (default: 127.0.0.1:9090; 'off' for none)." };
    private static readonly Option<string[]> Names = new("--name") { Description = "DNS name or address under which clients reach the service, for its certificate. May be repeated." };
    private static readonly Option<FileInfo?> Config = new("--config") { Description = "Configuration file (JSON) with the sections Service, Database, Fleet, Mirror, Health, Client, Watches, Logging." };
    private static readonly Option<string?> KubeconfigPath = new("--kubeconfig") { Description = "Registers the clusters of this kubeconfig: every context, or those named with --context." };
    private static readonly Option<string[]> Contexts = new("--context") { Description = "Only this context of the kubeconfig. May be repeated." };
    private static readonly Option<bool> AllowExec = new("--allow-exec") { Description = "Lets kubeconfigs run credential plugins: programs on this host, with our rights." };

    public static RootCommand Create()
    {
        var root = new RootCommand("MultiCluster: all your Kubernetes clusters at once. Without a command, it serves.");
        foreach (Option option in new Option[] { Data, Listen, ListenMetrics, Names, Config })
        {
            option.Recursive = true;
            root.Options.Add(option);
        }

        root.Options.Add(KubeconfigPath);
        root.Options.Add(Contexts);
        root.Options.Add(AllowExec);
        root.SetAction((parsed, stop) => GuardedAsync(parsed, ServeAsync, stop));

        var demo = new Command("demo", "Three simulated clusters with everything on; prints what to try next.");
        demo.SetAction((parsed, stop) => GuardedAsync(parsed, DemoAsync, stop));
        root.Subcommands.Add(demo);
        root.Subcommands.Add(CreateDatabase());
        return root;
    }

    private static Command CreateDatabase()
    {
        var migrate = new Command("migrate", "Creates or upgrades the tables. Changes nothing where they are as this build needs them; refuses those of a newer build.");
        migrate.SetAction((parsed, stop) => GuardedAsync(parsed, MigrateAsync, stop));
        var database = new Command("database", "The PostgreSQL database of a service on several machines (settings: Database).");
        database.Subcommands.Add(migrate);
        return database;
    }

    private static async Task<int> GuardedAsync(ParseResult parsed, Func<ParseResult, CancellationToken, Task> action, CancellationToken stop)
    {
        try
        {
            await action(parsed, stop);
            return 0;
        }
        catch (Exception e) when (e is ServiceStartException or ServiceReplacedException or KubeconfigException or DatabaseException)
        {
            await parsed.InvocationConfiguration.Error.WriteLineAsync(e.Message);
            return 1;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return 0;
        }
    }

    private static async Task ServeAsync(ParseResult parsed, CancellationToken stop)
    {
        TextWriter output = parsed.InvocationConfiguration.Output;

        // Read before anything starts: a broken file registers nothing.
        ImmutableArray<KubeconfigContext> contexts = ReadContexts(parsed);
        IConfigurationRoot configuration = ReadConfiguration(parsed);
        ServiceSettings settings = Settings(parsed, configuration);
        if (settings.Role == ServiceRole.Silo && !contexts.IsEmpty)
        {
            throw new ServiceStartException("--kubeconfig registers clusters through a gateway, and Service:Role is Silo; give it to a process that is a gateway.");
        }

        await using Service service = await Service.CreateAsync(
            settings, configuration, builder => ExecPlugins.Allow(builder.Configuration, parsed.GetValue(AllowExec)), stop);
        await service.StartAsync(stop);
        await output.WriteLineAsync(StartScreen.Served(service));
        await StartRegistration.RegisterAsync(service, contexts, output, stop);
        await service.App.WaitForShutdownAsync(stop);
        if (service.IsReplaced)
        {
            throw new ServiceReplacedException(ServiceReplacedException.DeclaredDead);
        }
    }

    private static async Task MigrateAsync(ParseResult parsed, CancellationToken stop)
    {
        await using NpgsqlDataSource database = NpgsqlDataSource.Create(Bind<DatabaseSettings>(ReadConfiguration(parsed), DatabaseSettings.Section).ToConnectionString());
        (int before, int after) = await new DatabaseSchema(database).MigrateAsync(stop);
        await parsed.InvocationConfiguration.Output.WriteLineAsync(
            before == after ? $"The database has schema version {after} already." : $"The database went from schema version {before} to {after}.");
    }

    private static async Task DemoAsync(ParseResult parsed, CancellationToken stop)
    {
        IConfigurationRoot configuration = ReadConfiguration(parsed);
        await DemoRun.RunAsync(
            Settings(parsed, configuration), hasDataDirectory: parsed.GetValue(Data) is not null, parsed.InvocationConfiguration.Output, stop);
    }

    private static ImmutableArray<KubeconfigContext> ReadContexts(ParseResult parsed)
    {
        string[] names = parsed.GetValue(Contexts) ?? [];
        if (parsed.GetValue(KubeconfigPath) is not { } path)
        {
            return names.Length == 0 ? [] : throw new ServiceStartException("--context names a context of a kubeconfig; give the file with --kubeconfig.");
        }

        var options = new KubeconfigOptions { AllowExec = parsed.GetValue(AllowExec), ExecSwitch = "start with --allow-exec" };
        return Kubeconfig.Load(path, options).Select(names);
    }

    private static IConfigurationRoot ReadConfiguration(ParseResult parsed)
    {
        var builder = new ConfigurationBuilder();
        if (parsed.GetValue(Config) is { } file)
        {
            builder.AddConfiguration(ConfigurationFile.Read(file));
        }

        return builder.AddEnvironmentVariables("MULTICLUSTER_").Build();
    }

    private static ServiceSettings Settings(ParseResult parsed, IConfiguration configuration)
    {
        ServiceSettings settings = Bind<ServiceSettings>(configuration, ServiceSettings.Section);
        settings.DataDirectory = parsed.GetValue(Data) ?? settings.DataDirectory;
        settings.Listen = parsed.GetValue(Listen) ?? settings.Listen;
        settings.ListenMetrics = parsed.GetValue(ListenMetrics) is { } metrics ? (metrics == "off" ? "" : metrics) : settings.ListenMetrics;
        settings.Names = [.. settings.Names, .. parsed.GetValue(Names) ?? []];
        return settings;
    }

    private static T Bind<T>(IConfiguration configuration, string section)
        where T : new()
    {
        try
        {
            return configuration.GetSection(section).Get<T>() ?? new T();
        }
        catch (InvalidOperationException e)
        {
            throw new ServiceStartException(e.Message);   // it names the setting and its value
        }
    }
}
