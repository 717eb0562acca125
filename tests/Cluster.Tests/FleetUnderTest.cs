using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.Seeding;
using MultiCluster.TestSupport;
using Npgsql;

namespace MultiCluster.Cluster.Tests;

/// <summary>Silos and a gateway as processes on one PostgreSQL, over simulated members in this process.</summary>
internal sealed class FleetUnderTest : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly PostgresServer? _server;
    private readonly string _database = $"cluster_{Guid.NewGuid():N}";
    private readonly ConcurrentBag<ServiceProcess> _launched = [];
    private int _started;

    private FleetUnderTest(PostgresServer? server) => _server = server;

    public List<ServiceProcess> Silos { get; } = [];

    public ServiceProcess Gateway { get; private set; } = null!;

    public List<SimulatedCluster> Members { get; } = [];

    public HttpClient Http { get; private set; } = new();

    private PostgresServer Server => _server ?? throw new InvalidOperationException("This fleet has no database.");

    public Dictionary<string, string> Settings => new(StringComparer.Ordinal)
    {
        ["Database:ConnectionString"] = Server.ConnectionString(_database),
    };

    /// <summary>Starts everything and waits until every member's pods are there.</summary>
    public static async Task<FleetUnderTest> StartAsync(PostgresServer server, int silos, int members, int podsOfEach)
    {
        FleetUnderTest fleet = await CreateAsync(server);
        fleet.Silos.AddRange(await Task.WhenAll(Enumerable.Range(0, silos).Select(_ => fleet.StartSiloAsync())));
        await fleet.StartGatewayAsync();
        await fleet.AddMembersAsync(members, podsOfEach);
        return fleet;
    }

    /// <summary>A database of its own with the tables in it; nothing runs yet.</summary>
    public static async Task<FleetUnderTest> CreateAsync(PostgresServer server)
    {
        var fleet = new FleetUnderTest(server);
        await fleet.RunOnServerAsync($"CREATE DATABASE {fleet._database}");
        await using ServiceProcess migrate = await ServiceProcess.LaunchAsync("migrate", fleet.Settings, "database", "migrate");
        await migrate.ExitedAsync();
        Assert.True(migrate.ExitCode == 0, migrate.Printed);
        return fleet;
    }

    /// <summary>One process that is silo and gateway and keeps what it must in files; no members yet.</summary>
    public static async Task<FleetUnderTest> StartAloneAsync()
    {
        var fleet = new FleetUnderTest(server: null);
        fleet.Gateway = await ServiceProcess.StartAsync("alone", new Dictionary<string, string>(StringComparer.Ordinal) { ["Service:Role"] = "All" });
        fleet.Http = fleet.CreateClient();
        return fleet;
    }

    public async Task StartGatewayAsync()
    {
        Gateway = await ServiceProcess.StartAsync("gateway", new Dictionary<string, string>(Settings, StringComparer.Ordinal) { ["Service:Role"] = "Gateway" });
        Http = CreateClient();
    }

    /// <summary>Starts members and registers them, and waits until all their pods are there.</summary>
    public async Task AddMembersAsync(int members, int podsOfEach)
    {
        FleetUnderTest fleet = this;
        for (int i = 0; i < members; i++)
        {
            SimulatedCluster member = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Name = string.Create(CultureInfo.InvariantCulture, $"member-{i:00}"), Seed = i + 1 });
            member.Objects.SeedPods(new PodSeed(podsOfEach));
            fleet.Members.Add(member);
        }

        await Parallel.ForEachAsync(fleet.Members, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (member, stop) => await fleet.RegisterAsync(member, stop));
        await fleet.UntilAsync("/v1/count/pods", answer => answer.GetProperty("total").GetInt64() == (long)members * podsOfEach && fleet.IsFresh(answer));
    }

    public async Task<ServiceProcess> StartSiloAsync(params (string Key, string Value)[] settings)
    {
        ServiceProcess silo = await LaunchSiloAsync(settings);
        await silo.RunningAsync();
        return silo;
    }

    /// <summary>Starts a silo of which it is not known whether it will run.</summary>
    public async Task<ServiceProcess> LaunchSiloAsync(params (string Key, string Value)[] settings)
    {
        var all = new Dictionary<string, string>(Settings, StringComparer.Ordinal) { ["Service:Role"] = "Silo" };
        foreach ((string key, string value) in settings)
        {
            all[key] = value;
        }

        ServiceProcess silo = await ServiceProcess.LaunchAsync(string.Create(CultureInfo.InvariantCulture, $"silo-{Interlocked.Increment(ref _started)}"), all);
        _launched.Add(silo);
        return silo;
    }

    /// <summary>The database as seen through a relay on loopback.</summary>
    public string ConnectionStringThrough(TcpRelay relay) =>
        new NpgsqlConnectionStringBuilder(Server.ConnectionString(_database)) { Host = "127.0.0.1", Port = relay.Port }.ConnectionString;

    public IPEndPoint DatabaseEndpoint => new(IPAddress.Parse(Server.Host), Server.Port);

    /// <summary>Registers without a wait for its objects; false where that was not acknowledged.</summary>
    public async Task<bool> TryRegisterAsync(string name, SimulatedCluster member)
    {
        using HttpResponseMessage answer = await Http.PostAsJsonAsync("/v1/clusters", new { name, kubeconfig = member.KubeconfigYaml() });
        return answer.IsSuccessStatusCode;
    }

    public async Task RegisterAsync(SimulatedCluster member, CancellationToken cancellationToken)
    {
        // While everything starts on a few cores, a member may not answer the checks in time; as its operator would, this tries again.
        long start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            using HttpResponseMessage answer = await Http.PostAsJsonAsync("/v1/clusters", new { name = member.Options.Name, kubeconfig = member.KubeconfigYaml() }, cancellationToken);
            if (answer.IsSuccessStatusCode)
            {
                return;
            }

            bool mayPass = answer.StatusCode == HttpStatusCode.UnprocessableEntity && TimeProvider.System.GetElapsedTime(start) < Patience;
            Assert.True(mayPass, await answer.Content.ReadAsStringAsync(cancellationToken));
        }
    }

    public HttpClient CreateClient()
    {
        var client = new HttpClient(Trusting(File.ReadAllText(Path.Combine(Gateway.DataDirectory, "ca.crt")))) { BaseAddress = Gateway.Api, Timeout = Patience };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", File.ReadAllText(Path.Combine(Gateway.DataDirectory, "admin-token")).Trim());
        return client;
    }

    /// <summary>Whether every member is covered by what is there now.</summary>
    public bool IsFresh(JsonElement answer) =>
        answer.GetProperty("coverage").EnumerateArray().Count(c => c.GetProperty("state").GetString() == "ok") == Members.Count;

    /// <summary>Asks until the answer is as wished, or patience ends; the last answer is in the message then.</summary>
    public async Task<JsonElement> UntilAsync(string path, Func<JsonElement, bool> wish)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            JsonElement answer = await Http.GetFromJsonAsync<JsonElement>(path);
            if (wish(answer))
            {
                return answer;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience, $"{path} still answers {answer}. Gateway: {Gateway.Printed}");
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, CancellationToken.None);
        }
    }

    /// <summary>What all processes have printed.</summary>
    public string Printed => string.Concat(Silos.Append(Gateway).Select(p => $"\n--- {p.Name}: {p.Printed}"));

    /// <summary>The clusters whose grains live on a silo, once the silos that run say of every member which of them holds it.</summary>
    public async Task<HashSet<string>> ClustersOfAsync(ServiceProcess silo)
    {
        using var client = new HttpClient { Timeout = Patience };
        long start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            ServiceProcess[] running = [.. Silos.Where(s => !s.HasExited)];
            HashSet<string>[] held = await Task.WhenAll(running.Select(async s => MembersIn(await client.GetStringAsync(new Uri(s.Operations, "metrics")))));

            // A member can answer for its pods before the figures of its mirror say that there is something in it.
            if (held.Sum(h => h.Count) == Members.Count && held.SelectMany(h => h).ToHashSet(StringComparer.Ordinal).Count == Members.Count)
            {
                HashSet<string> wanted = held[running.IndexOf(silo)];
                Assert.True(wanted.Count > 0, $"{silo.Name} holds nothing: {string.Join("; ", held.Select(h => string.Join(' ', h)))}");
                return wanted;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience, $"The silos hold {string.Join("; ", held.Select(h => string.Join(' ', h)))}. {Printed}");
            await PauseAsync(TimeSpan.FromMilliseconds(100));
        }
    }

    /// <summary>The resourceVersion of every pod, by cluster, namespace and name, as the members themselves say.</summary>
    public async Task<Dictionary<string, string>> TruthAsync()
    {
        Dictionary<string, string> truth = new(StringComparer.Ordinal);
        foreach (SimulatedCluster member in Members)
        {
            using var client = new HttpClient(Trusting(member.CertificateAuthorityPem)) { Timeout = Patience };
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(member.Url, "/api/v1/pods"));
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", member.AdminToken);
            using HttpResponseMessage answer = await client.SendAsync(request);
            JsonElement list = await answer.Content.ReadFromJsonAsync<JsonElement>();
            foreach (JsonElement metadata in list.GetProperty("items").EnumerateArray().Select(i => i.GetProperty("metadata")))
            {
                truth.Add($"{member.Options.Name}/{metadata.GetProperty("namespace").GetString()}/{metadata.GetProperty("name").GetString()}", metadata.GetProperty("resourceVersion").GetString()!);
            }
        }

        return truth;
    }

    /// <summary>The first column of what a query of the service's database finds.</summary>
    public async Task<double[]> RowsAsync(string sql)
    {
        await using NpgsqlDataSource source = NpgsqlDataSource.Create($"{Server.ConnectionString(_database)};Search Path=multicluster;Pooling=false");
        await using NpgsqlCommand command = source.CreateCommand(sql);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
        List<double> rows = [];
        while (await reader.ReadAsync())
        {
            rows.Add(reader.GetDouble(0));
        }

        return [.. rows];
    }

    /// <summary>Asks the database until its first value is as wished.</summary>
    public async Task UntilRowsAsync(string sql, Func<double, bool> wish, Func<Task>? meanwhile = null)
    {
        long start = TimeProvider.System.GetTimestamp();
        while ((await RowsAsync(sql)) is var rows && !wish(rows[0]))
        {
            await (meanwhile?.Invoke() ?? Task.CompletedTask);
            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience, $"{sql} still finds {string.Join(' ', rows)}. {Printed}");
            await PauseAsync(TimeSpan.FromMilliseconds(200));
        }
    }

    public Task PauseAsync(TimeSpan time) => time > TimeSpan.Zero ? Task.Delay(time, TimeProvider.System, CancellationToken.None) : Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        foreach (ServiceProcess process in _launched.Append(Gateway).Where(p => p is not null))
        {
            await process.DisposeAsync();
        }

        foreach (SimulatedCluster member in Members)
        {
            await member.DisposeAsync();
        }

        if (_server is not null)
        {
            await RunOnServerAsync($"DROP DATABASE {_database} WITH (FORCE)");
        }
    }

    private async Task RunOnServerAsync(string sql)
    {
        await using NpgsqlDataSource source = NpgsqlDataSource.Create($"{Server.ConnectionString("postgres")};Pooling=false");
        await using NpgsqlCommand command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync().WaitAsync(Patience);
    }

    /// <summary>The members of which a silo's metrics say that its mirrors have objects; the series of one that has moved away stays, at 0.</summary>
    private HashSet<string> MembersIn(string metrics)
    {
        string[] mirrors = [.. metrics.Split('\n').Where(line => line.StartsWith("multicluster_mirror_objects{", StringComparison.Ordinal) && !line.EndsWith(" 0", StringComparison.Ordinal))];
        return [.. Members.Select(m => m.Options.Name).Where(name => mirrors.Any(line => line.Contains($"cluster=\"{name}\"", StringComparison.Ordinal)))];
    }

    private static SocketsHttpHandler Trusting(string authorityPem) => new()
    {
        SslOptions = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                CustomTrustStore = { X509Certificate2.CreateFromPem(authorityPem) },
                RevocationMode = X509RevocationMode.NoCheck,
            },
        },
    };
}
