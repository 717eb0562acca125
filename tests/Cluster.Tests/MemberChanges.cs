using System.Globalization;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Cluster.Tests;

/// <summary>Changes pods in all members until it is disposed: some are made, some touched, some deleted.</summary>
internal sealed class MemberChanges : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;

    public static MemberChanges Start(FleetUnderTest fleet)
    {
        var changes = new MemberChanges();
        changes._running = Task.Run(() => changes.RunAsync(fleet.Members), CancellationToken.None);
        return changes;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
    }

    private async Task RunAsync(List<SimulatedCluster> members)
    {
        var random = new Random(7);
        for (int i = 0; !_stop.IsCancellationRequested; i++)
        {
            SimulatedCluster member = members[random.Next(members.Count)];
            string name = string.Create(CultureInfo.InvariantCulture, $"made-{random.Next(5)}");
            switch (random.Next(3))
            {
                case 0 when member.Objects.Get("v1", "Pod", "default", name) is null:
                    member.Objects.Create($$$"""
                        { "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "{{{name}}}", "namespace": "default" },
                          "spec": { "containers": [ { "name": "main", "image": "nginx:1.27" } ] } }
                        """);
                    break;
                case 1:
                    member.Objects.Delete("v1", "Pod", "default", name);
                    break;
                default:
                    member.Objects.TouchPods(1);
                    break;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, CancellationToken.None);
        }
    }
}
