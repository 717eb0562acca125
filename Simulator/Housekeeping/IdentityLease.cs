using System.Globalization;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Housekeeping;

/// <summary>Renews the lease by which a server says that it lives; the one thing that always moves in a quiet cluster.</summary>
internal sealed class IdentityLease : IDisposable
{
    private const string Namespace = "kube-system";

    private readonly ObjectRegistry _registry;
    private readonly string _name;
    private readonly ITimer _timer;

    public IdentityLease(ObjectRegistry registry, TimeSpan period)
    {
        _registry = registry;
        _name = "apiserver-" + registry.Ids.Suffix(26);
        Renew();
        _timer = registry.Time.CreateTimer(_ => Renew(), null, period, period);
    }

    public void Dispose() => _timer.Dispose();

    private void Renew()
    {
        ApiResource leases = _registry.Catalog.Stored(ResourceName.Leases)!;
        string now = _registry.Time.GetUtcNow().UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);
        var options = new WriteOptions("kube-apiserver") { IsPatch = true };
        try
        {
            if (_registry.Store.Find(ResourceName.Leases, Namespace, _name) is null)
            {
                _registry.Create(leases, Namespace, Lease(now), options);
                return;
            }

            _registry.Update(
                leases, Namespace, _name,
                live =>
                {
                    live.Section("spec")["renewTime"] = now;
                    return live;
                },
                options);
        }
        catch (StatusException)
        {
            // Deleted under our hands, or its namespace is: the next period makes it again if it can.
        }
    }

    private JsonObject Lease(string now) => new()
    {
        ["metadata"] = new JsonObject
        {
            ["name"] = _name,
            ["labels"] = new JsonObject { ["apiserver.kubernetes.io/identity"] = "kube-apiserver", ["kubernetes.io/hostname"] = "simulator" },
        },
        ["spec"] = new JsonObject { ["holderIdentity"] = $"{_name}_{_registry.Ids.Uid()}", ["leaseDurationSeconds"] = 3600, ["renewTime"] = now },
    };
}
