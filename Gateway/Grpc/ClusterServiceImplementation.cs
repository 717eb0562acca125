using System.Collections.Immutable;
using Grpc.Core;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Gateway.Clusters;
using MultiCluster.Gateway.Reads;
using MultiCluster.Kubernetes.Selectors;
using MultiCluster.V1;

namespace MultiCluster.Gateway.Grpc;

/// <summary><c>multicluster.v1.ClusterService</c>.</summary>
internal sealed class ClusterServiceImplementation(ClusterCommands commands, FleetView fleet, WatchPlaces places) : ClusterService.ClusterServiceBase
{
    public override async Task<RegisterClusterResponse> RegisterCluster(RegisterClusterRequest request, ServerCallContext context)
    {
        RegistrationReply reply = await commands.RegisterAsync(
            request.Name, request.Labels, Input(request.Connection), WireClusters.FromWire(request.Mirror), request.Force, request.DryRun, context.CancellationToken);
        var response = new RegisterClusterResponse { Cluster = reply.Cluster?.ToWire(), Checks = reply.Checks.ToWire() };
        response.Faults.Add(reply.Faults.Select(WireClusters.ToWire));
        response.Warnings.Add(reply.Warnings);
        return response;
    }

    public override async Task<ReplaceCredentialsResponse> ReplaceCredentials(ReplaceCredentialsRequest request, ServerCallContext context)
    {
        RegistrationReply reply = await commands.ReplaceCredentialsAsync(request.Name, Input(request.Connection), request.Force, context.CancellationToken);
        var response = new ReplaceCredentialsResponse { Cluster = reply.Cluster?.ToWire(), Checks = reply.Checks.ToWire() };
        response.Faults.Add(reply.Faults.Select(WireClusters.ToWire));
        response.Warnings.Add(reply.Warnings);
        return response;
    }

    public override async Task<GetClusterResponse> GetCluster(GetClusterRequest request, ServerCallContext context) =>
        (await commands.DescribeAsync(request.Name, context.CancellationToken)).ToWire();

    public override async Task<ListClustersResponse> ListClusters(ListClustersRequest request, ServerCallContext context)
    {
        ImmutableArray<ClusterEntry> found = await commands.SelectAsync([.. request.Names], request.LabelSelector, context.CancellationToken);
        var response = new ListClustersResponse();
        response.Clusters.Add(found.Select(WireClusters.ToWire));
        return response;
    }

    public override async Task<UpdateClusterResponse> UpdateCluster(UpdateClusterRequest request, ServerCallContext context)
    {
        ClusterEntry cluster = await commands.UpdateAsync(
            request.Name,
            new UpdateCluster
            {
                Labels = request.Labels is { } labels ? WireClusters.LabelsFromWire(labels.Values) : null,
                Enabled = request.HasEnabled ? request.Enabled : null,
                Mirror = request.Mirror is null ? null : WireClusters.FromWire(request.Mirror),
                IfGeneration = request.IfGeneration,
            },
            context.CancellationToken);
        return new UpdateClusterResponse { Cluster = cluster.ToWire() };
    }

    public override async Task<RemoveClusterResponse> RemoveCluster(RemoveClusterRequest request, ServerCallContext context)
    {
        await commands.RemoveAsync(request.Name, context.CancellationToken);
        return new RemoveClusterResponse();
    }

    public override async Task WatchClusters(
        WatchClustersRequest request, IServerStreamWriter<WatchClustersResponse> responseStream, ServerCallContext context)
    {
        ImmutableArray<string> names = [.. request.Names];
        LabelSelector? selector = ClusterCommands.ParseSelector(request.LabelSelector);
        using IDisposable place = places.Enter(context.GetHttpContext().User);
        var shown = new Dictionary<string, ClusterEntry>(StringComparer.Ordinal);
        bool synced = false;
        while (true)
        {
            // Taken before the snapshot, so that no change falls between. A slow reader skips states, never the last one.
            Task changed = fleet.Changed();
            FleetSnapshot now = fleet.Current;
            if (now.IsKnown)
            {
                foreach (ClusterEntry cluster in now.Clusters.Values.Where(c => ClusterCommands.Matches(c, names, selector)))
                {
                    if (!shown.TryGetValue(cluster.Name, out ClusterEntry? before) || !ReferenceEquals(before, cluster))
                    {
                        shown[cluster.Name] = cluster;
                        await responseStream.WriteAsync(
                            new WatchClustersResponse
                            {
                                Type = before is null ? WatchClustersResponse.Types.Type.Added : WatchClustersResponse.Types.Type.Modified,
                                Cluster = cluster.ToWire(),
                            },
                            context.CancellationToken);
                    }
                }

                foreach (ClusterEntry gone in shown.Values.Where(c => !IsShown(now, c.Name, names, selector)).ToArray())
                {
                    shown.Remove(gone.Name);
                    await responseStream.WriteAsync(
                        new WatchClustersResponse { Type = WatchClustersResponse.Types.Type.Deleted, Cluster = gone.ToWire() }, context.CancellationToken);
                }

                if (!synced)
                {
                    synced = true;
                    await responseStream.WriteAsync(new WatchClustersResponse { Type = WatchClustersResponse.Types.Type.Synced }, context.CancellationToken);
                }
            }

            await changed.WaitAsync(context.CancellationToken);
        }
    }

    private static bool IsShown(FleetSnapshot snapshot, string name, ImmutableArray<string> names, LabelSelector? selector) =>
        snapshot.Clusters.TryGetValue(name, out ClusterEntry? cluster) && ClusterCommands.Matches(cluster, names, selector);

    private static ConnectionInput Input(Connection? connection) => connection?.SourceCase switch
    {
        Connection.SourceOneofCase.Kubeconfig => new ConnectionInput
        {
            Kubeconfig = connection.Kubeconfig.Yaml.ToStringUtf8(),
            Context = NullIfEmpty(connection.Kubeconfig.Context),
        },
        Connection.SourceOneofCase.Explicit => new ConnectionInput
        {
            Server = connection.Explicit.Server,
            CertificateAuthority = NullIfEmpty(connection.Explicit.CertificateAuthority.ToStringUtf8()),
            Token = NullIfEmpty(connection.Explicit.Token),
            ClientCertificate = NullIfEmpty(connection.Explicit.ClientCertificate.ToStringUtf8()),
            ClientKey = NullIfEmpty(connection.Explicit.ClientKey.ToStringUtf8()),
            TlsServerName = NullIfEmpty(connection.Explicit.TlsServerName),
            InsecureSkipTlsVerify = connection.Explicit.InsecureSkipTlsVerify,
            ProxyUrl = NullIfEmpty(connection.Explicit.ProxyUrl),
        },
        _ => new ConnectionInput(),
    };

    private static string? NullIfEmpty(string text) => text.Length == 0 ? null : text;
}
