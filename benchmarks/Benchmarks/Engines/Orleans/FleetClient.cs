using Grpc.Core;
using Grpc.Net.Client;
using MultiCluster.Benchmarks.Hosting;
using MultiCluster.Cluster.Tests;
using MultiCluster.V1;

namespace MultiCluster.Benchmarks.Engines;

/// <summary>A client of the gateway of a fleet, over gRPC and TLS, as its administrator.</summary>
internal sealed class FleetClient : IDisposable
{
    private readonly GrpcChannel _channel;
    private readonly string _token;

    public FleetClient(FleetUnderTest fleet)
    {
        string folder = fleet.Gateway.DataDirectory;
        _token = File.ReadAllText(Path.Combine(folder, "admin-token")).Trim();
        _channel = GrpcChannel.ForAddress(
            fleet.Gateway.Api, new GrpcChannelOptions { HttpHandler = ServiceHost.Trusting(File.ReadAllText(Path.Combine(folder, "ca.crt"))), MaxReceiveMessageSize = null, DisposeHttpClient = true });
        Resources = new ResourceService.ResourceServiceClient(_channel);
    }

    public ResourceService.ResourceServiceClient Resources { get; }

    public Metadata Admin => new() { { "authorization", $"Bearer {_token}" } };

    public void Dispose() => _channel.Dispose();
}
