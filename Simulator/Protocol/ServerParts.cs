using System.Collections.Immutable;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Faults;
using MultiCluster.Simulator.Hosting;
using MultiCluster.Simulator.OpenApi;
using MultiCluster.Simulator.Security;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>What the handlers of one simulated cluster share; lives as long as the cluster, over restarts of its listener.</summary>
internal sealed class ServerParts(
    SimulatedClusterOptions options, ObjectRegistry registry, Authenticator authenticator, Authorizer authorizer, SchemaFieldTracker schemas, CallLog calls, FaultSwitchboard faults)
{
    private (ApiCatalog Catalog, OpenApiDocuments Documents)? _openApi;

    public SimulatedClusterOptions Options => options;

    public ObjectRegistry Registry => registry;

    public ClusterStore Store => registry.Store;

    public TimeProvider Time => registry.Time;

    public Authenticator Authenticator => authenticator;

    public Authorizer Authorizer => authorizer;

    public SchemaFieldTracker Schemas => schemas;

    public TableForm Tables { get; } = new(registry.Time);

    public CallLog Calls => calls;

    public FaultSwitchboard Faults => faults;

    /// <summary>Whether watches may begin with <c>sendInitialEvents</c>; a feature gate of the real server.</summary>
    public bool WatchList { get; set; } = options.WatchList;

    /// <summary>Health checks that fail now; a real server fails <c>etcd</c> when its store is away.</summary>
    public ImmutableHashSet<string> FailingChecks { get; set; } = [];

    /// <summary>Cancelled when the server stops in good order: open watches end cleanly.</summary>
    public CancellationToken Stopping { get; set; }

    /// <summary>Host and port under which the server is reached.</summary>
    public string Authority { get; set; } = "";

    /// <summary>The OpenAPI documents of what is served now.</summary>
    public OpenApiDocuments OpenApi
    {
        get
        {
            ApiCatalog catalog = registry.Catalog;
            if (_openApi is not { } known || known.Catalog != catalog)
            {
                known = (catalog, new OpenApiDocuments([.. catalog.Resources.Select(r =>
                    new OpenApiResource(r.Group, r.Version, r.Kind, r.Plural, r.Namespaced, r.Custom?.Schema))]));
                _openApi = known;
            }

            return known.Documents;
        }
    }
}
