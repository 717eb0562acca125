using System.Security.Cryptography.X509Certificates;
using MultiCluster.Simulator.Controllers;
using MultiCluster.Simulator.Faults;
using MultiCluster.Simulator.Housekeeping;
using MultiCluster.Simulator.Protocol;
using MultiCluster.Simulator.Security;
using MultiCluster.Simulator.Seeding;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Hosting;

/// <summary>A small Kubernetes API server on loopback that behaves as a kube-apiserver 1.32 does.</summary>
/// <remarks>
/// Thread-safe. State is in memory and survives <see cref="StopListeningAsync"/> and <see cref="RestartAsync"/>, not the process.
/// Users from the start: <c>admin</c> (group system:masters) with <see cref="AdminToken"/>, and <c>reader</c> (group readers, bound to
/// the cluster role view) with <see cref="ReaderToken"/>; requests without credentials are <c>system:anonymous</c>.
/// </remarks>
public sealed class SimulatedCluster : IAsyncDisposable
{
    private readonly CertificateAuthority _authority;
    private readonly ApiListener _listener;
    private readonly ServerParts _server;
    private readonly CustomResourceCatalog _definitions;
    private readonly Housekeeper? _housekeeper;
    private readonly IdentityLease? _lease;
    private readonly ControllerLoop? _controllers;

    private SimulatedCluster(SimulatedClusterOptions options)
    {
        Options = options;
        _authority = new CertificateAuthority(options.Name);
        var ids = new IdSource(options.Seed);
        var store = new ClusterStore(options.HistoryLimit);
        var schemas = new SchemaFieldTracker();
        var registry = new ObjectRegistry(store, options.Time, ids, schemas);
        var authenticator = new Authenticator(_authority, options.Time);
        Calls = new CallLog();
        Faults = new FaultSwitchboard();
        _server = new ServerParts(options, registry, authenticator, new Authorizer(store), schemas, Calls, Faults);
        Faults.Attach(_server);
        AdminToken = authenticator.IssueToken(new UserInfo("admin", "", ["system:masters", "system:authenticated"]));
        ReaderToken = authenticator.IssueToken(new UserInfo("reader", "uid-reader", ["readers", "system:authenticated"]));
        foreach (SimulatedUser user in options.Users)
        {
            AddUser(user);
        }

        ClusterBootstrap.Run(registry, options.Housekeeping);
        Objects = new ObjectSeeds(registry, options.Seed);
        _listener = new ApiListener(_server, Faults, _authority);
        _definitions = new CustomResourceCatalog(registry);
        _housekeeper = options.Housekeeping ? new Housekeeper(registry, _authority.Pem) : null;
        _lease = options.LeaseRenewal is { } period ? new IdentityLease(registry, period) : null;
        _controllers = options.Controllers ? ControllerLoop.Start(new RegistryObjectStore(registry), options.ControllerSettings) : null;
    }

    /// <summary>How it was made.</summary>
    public SimulatedClusterOptions Options { get; }

    /// <summary>Base address, such as <c>https://127.0.0.1:41234</c>; the same over restarts.</summary>
    public Uri Url => _listener.Url;

    /// <summary>Bearer token of <c>admin</c>, who may do everything.</summary>
    public string AdminToken { get; }

    /// <summary>Bearer token of <c>reader</c>, who may read what the cluster role view allows.</summary>
    public string ReaderToken { get; }

    /// <summary>Certificate of the authority that signed the serving certificate and client certificates.</summary>
    public string CertificateAuthorityPem => _authority.Pem;

    /// <summary>The last requests.</summary>
    public CallLog Calls { get; }

    /// <summary>Faults on demand.</summary>
    public FaultSwitchboard Faults { get; }

    /// <summary>Objects without going over HTTP.</summary>
    public ObjectSeeds Objects { get; }

    /// <summary>The newest resourceVersion.</summary>
    public long Revision => _server.Store.Revision;

    /// <summary>Feature gate WatchList: whether watches may begin with <c>sendInitialEvents</c>.</summary>
    public bool WatchList
    {
        get => _server.WatchList;
        set => _server.WatchList = value;
    }

    internal ObjectRegistry Registry => _server.Registry;

    /// <summary>Whether everything that follows from the writes so far has happened: nothing more changes before somebody writes or time passes.</summary>
    internal bool IsSettled
    {
        get
        {
            long before = Revision;
            bool idle = _controllers is not { IsIdle: false } && _housekeeper is not { IsIdle: false } && _definitions.IsIdle;
            return idle && Revision == before && Faults.AreWatchesAtRest;
        }
    }

    /// <summary>Starts a cluster and listens; in some tens of milliseconds.</summary>
    public static async Task<SimulatedCluster> StartAsync(SimulatedClusterOptions? options = null, CancellationToken cancellationToken = default)
    {
        var cluster = new SimulatedCluster(options ?? new SimulatedClusterOptions());
        try
        {
            await cluster._listener.StartAsync(cancellationToken);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>A kubeconfig with one context, named after the cluster.</summary>
    /// <param name="token">Bearer token; null for the admin's. Empty for no credentials.</param>
    public string KubeconfigYaml(string? token = null) => Kubeconfig.Write(Options.Name, Url, Options.Tls ? _authority.Pem : null, token ?? AdminToken);

    /// <summary>A client certificate of the cluster's authority, with its key.</summary>
    /// <param name="user">User name (CN).</param>
    /// <param name="groups">Groups (O).</param>
    public X509Certificate2 ClientCertificate(string user, params IReadOnlyList<string> groups) => _authority.IssueClient(user, groups);

    /// <summary>Adds a user with a token, or replaces the token's user.</summary>
    public void AddUser(SimulatedUser user)
    {
        ArgumentNullException.ThrowIfNull(user);
        string uid = user.Uid.Length > 0 ? user.Uid : $"uid-{user.Name}";
        _server.Authenticator.AddToken(user.Token, new UserInfo(user.Name, uid, [.. user.Groups, "system:authenticated"]));
    }

    /// <summary>Makes a token unknown: requests with it are answered with 401 from now on. Open watches stay, as with a real server.</summary>
    public void RevokeToken(string token) => _server.Authenticator.RemoveToken(token);

    /// <summary>Stops listening: new connections are refused.</summary>
    /// <param name="graceful">True ends open watches cleanly; false breaks all connections, as a kill does.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task StopListeningAsync(bool graceful = false, CancellationToken cancellationToken = default) => _listener.StopAsync(graceful, cancellationToken);

    /// <summary>Listens again on the same port.</summary>
    public Task StartListeningAsync(CancellationToken cancellationToken = default) => _listener.StartAsync(cancellationToken);

    /// <summary>Saves the whole state; cheap.</summary>
    public ClusterSnapshot Snapshot() => new(_server.Store.Save());

    /// <summary>Stops and starts the server. Its watch cache is empty then: a watch from before the restart is too old.</summary>
    /// <param name="state">State to start with, such as an older <see cref="Snapshot"/>: resourceVersions step back. Null keeps the present.</param>
    /// <param name="graceful">True ends open watches cleanly; false breaks all connections.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public async Task RestartAsync(ClusterSnapshot? state = null, bool graceful = false, CancellationToken cancellationToken = default)
    {
        await _listener.StopAsync(graceful, cancellationToken);
        Restore(state);
        await _listener.StartAsync(cancellationToken);
    }

    /// <summary>Goes back to a saved state without a restart: resourceVersions step back under the eyes of the clients.</summary>
    public void Restore(ClusterSnapshot? state)
    {
        if (state is null)
        {
            _server.Store.ForgetHistory();
        }
        else
        {
            _server.Store.Restore(state.Store);
        }
    }

    /// <summary>Compacts the store as etcd does every five minutes: continue tokens and exact lists of older revisions expire; watches do not.</summary>
    /// <param name="revision">Up to this one; null for the present.</param>
    public void Compact(long? revision = null) => _server.Store.Compact(revision ?? Revision);

    /// <summary>Forgets the changes so far: watches from older revisions are answered with 410.</summary>
    public void ForgetHistory() => _server.Store.ForgetHistory();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_controllers is not null)
        {
            await _controllers.DisposeAsync();
        }

        _lease?.Dispose();
        if (_housekeeper is not null)
        {
            await _housekeeper.DisposeAsync();
        }

        await _definitions.DisposeAsync();

        await _listener.DisposeAsync();
        _authority.Dispose();
    }
}

/// <summary>A saved state of a simulated cluster.</summary>
public sealed class ClusterSnapshot
{
    internal ClusterSnapshot(StoreSnapshot store) => Store = store;

    /// <summary>The newest resourceVersion in it.</summary>
    public long Revision => Store.Revision;

    internal StoreSnapshot Store { get; }
}
