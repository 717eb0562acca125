using System.Text.Json.Nodes;
using System.Threading.Channels;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Housekeeping;

/// <summary>The life of CRDs inside the server: names accepted, established, served, and on deletion first their objects, then they.</summary>
internal sealed class CustomResourceCatalog : IAsyncDisposable
{
    // A real server tears down the storage of a deleted resource a moment after its objects are gone.
    private static readonly TimeSpan TearDownDelay = TimeSpan.FromSeconds(1);

    private readonly ObjectRegistry _registry;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Channel<string> _changed = Channel.CreateUnbounded<string>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Task _loop;
    private int _left;

    public CustomResourceCatalog(ObjectRegistry registry)
    {
        _registry = registry;
        registry.Store.Changed += OnChanged;
        registry.Store.Restored += OnRestored;
        _loop = Task.Run(RunAsync);
    }

    private ApiResource Definitions => _registry.Catalog.Stored(ResourceName.CustomResourceDefinitions)!;

    /// <summary>Serves what the established CRDs in the store define.</summary>
    public static void Refresh(ObjectRegistry registry)
    {
        (OrderedObjects stored, _) = registry.Store.Snapshot(ResourceName.CustomResourceDefinitions);
        registry.Catalog = ApiCatalog.With(stored.Range(null).Select(d => d.ToTree()).Where(IsEstablished));
    }

    /// <summary>Whether nothing is left to do. Holds for as long as nobody writes.</summary>
    public bool IsIdle => Volatile.Read(ref _left) == 0;

    public async ValueTask DisposeAsync()
    {
        _registry.Store.Changed -= OnChanged;
        _registry.Store.Restored -= OnRestored;
        await _stopping.CancelAsync();
        _changed.Writer.TryComplete();
        await _loop;
        _stopping.Dispose();
    }

    private static bool IsEstablished(JsonObject definition) =>
        (definition.At("status", "conditions") as JsonArray ?? []).Any(c => c.Text("type") == "Established" && c.Text("status") == "True");

    private void OnChanged(ResourceName resource, StoredChange change)
    {
        if (resource == ResourceName.CustomResourceDefinitions)
        {
            Interlocked.Increment(ref _left);
            _changed.Writer.TryWrite((change.After ?? change.Before!).Name);
        }
    }

    private void OnRestored() => Refresh(_registry);

    private async Task RunAsync()
    {
        await foreach (string name in _changed.Reader.ReadAllAsync(CancellationToken.None))
        {
            if (_stopping.IsCancellationRequested)
            {
                return;
            }

            try
            {
                Handle(name);
            }
            catch (StatusException)
            {
                // Changed under our hands; that change is in the queue too.
            }

            Interlocked.Decrement(ref _left);
        }
    }

    private void Handle(string name)
    {
        if (_registry.Store.Find(ResourceName.CustomResourceDefinitions, "", name) is not { } stored)
        {
            Refresh(_registry);
            return;
        }

        JsonObject definition = stored.ToTree();
        var storage = new ResourceName(definition.Text("spec", "group")!, definition.Text("spec", "names", "plural")!);
        if (stored.IsDeleting)
        {
            TearDown(definition, storage, name);
        }
        else if (!IsEstablished(definition))
        {
            _registry.Store.Open(storage);
            Establish(name);
        }
        else
        {
            Refresh(_registry);
        }
    }

    // In two steps, as the real server does it: first the names are taken, then the resource is served.
    private void Establish(string name)
    {
        SetConditions(name, "False", "Installing");
        SetConditions(name, "True", "InitialNamesAccepted");
    }

    private void SetConditions(string name, string established, string reason) => _registry.Update(
        Definitions, "", name,
        live =>
        {
            string now = _registry.Now;
            JsonObject status = live.Section("status");
            JsonObject names = Condition("NamesAccepted", "NoConflicts", "no conflicts found", now);
            JsonObject served = Condition("Established", reason, "the initial names have been accepted", now);
            served["status"] = established;
            status["conditions"] = new JsonArray(names, served);
            status["acceptedNames"] = live.At("spec", "names")!.DeepClone();
            return live;
        },
        new WriteOptions("kube-apiserver") { Subresource = "status", IsPatch = true });

    private void TearDown(JsonObject definition, ResourceName storage, string name)
    {
        if (definition.At("metadata", "finalizers") is not JsonArray { Count: > 0 })
        {
            return;
        }

        if (_registry.Catalog.Stored(storage) is { } resource)
        {
            foreach (StoredObject obj in _registry.Store.Snapshot(storage).Objects.Range(null))
            {
                _registry.Delete(resource, obj.Namespace, obj.Name, new DeleteRequest { Propagation = Propagation.Background });
            }
        }

        _registry.RemoveFinalizer(Definitions, "", name, "customresourcecleanup.apiextensions.k8s.io");
        Refresh(_registry);
        _ = CloseLaterAsync(storage);   // ends with the cluster; a failure would only leave watches open a little longer
    }

    private async Task CloseLaterAsync(ResourceName storage)
    {
        try
        {
            await Task.Delay(TearDownDelay, _registry.Time, _stopping.Token);
            if (_registry.Catalog.Stored(storage) is null)
            {
                _registry.Store.Close(storage);
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // The cluster is going away, and the watches with it.
        }
    }

    private static JsonObject Condition(string type, string reason, string message, string now) => new()
    {
        ["type"] = type,
        ["status"] = "True",
        ["lastTransitionTime"] = now,
        ["reason"] = reason,
        ["message"] = message,
    };
}
