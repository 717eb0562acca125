using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>Answers get and list.</summary>
internal static class ReadHandlers
{
    // A list that asks for a revision the server has not seen yet waits this long for it, as the watch cache does.
    private static readonly TimeSpan RevisionPatience = TimeSpan.FromSeconds(3);

    public static async Task GetAsync(Exchange exchange)
    {
        string revision = exchange.Http.Request.Query["resourceVersion"].ToString();
        await WaitForRevisionAsync(exchange, ListQuery.ParseRevision(revision));
        StoredObject stored = exchange.Server.Registry.Get(exchange.Resource, ScopeOf(exchange), exchange.Target.Name);
        await exchange.WriteObjectAsync(stored.ToTree());
    }

    public static async Task ListAsync(Exchange exchange)
    {
        Negotiation negotiation = Negotiation.Of(exchange.Http.Request);
        ListQuery query = ListQuery.Parse(exchange.Http.Request, exchange.Target, exchange.Resource, exchange.Server.WatchList);
        ListPage page = await SelectAsync(exchange, query);
        if (negotiation is { Form: BodyForm.Object, Yaml: false, Pretty: false } && !VersionConversion.Reshapes(exchange.Resource))
        {
            await exchange.StreamAsync(StreamOf(exchange.Resource, page));
            return;
        }

        IEnumerable<JsonObject> items = page.Items.Select(i => Exchange.Typed(exchange.Resource, i.ToTree()));
        JsonObject body = negotiation.Form switch
        {
            BodyForm.Table => exchange.Server.Tables.Render(exchange.Resource, items, page.Metadata(), exchange),
            BodyForm.PartialMetadata => new JsonObject
            {
                ["kind"] = "PartialObjectMetadataList",
                ["apiVersion"] = negotiation.TransformVersion,
                ["metadata"] = page.Metadata(),
                ["items"] = new JsonArray([.. items.Select(i => (JsonNode)Exchange.PartialMetadata(i, negotiation))]),
            },
            _ => ListBody(exchange.Resource, items, page),
        };
        await exchange.WriteAsync(body, negotiation);
    }

    /// <summary>The objects that a list query selects.</summary>
    public static async Task<ListPage> SelectAsync(Exchange exchange, ListQuery query)
    {
        ApiResource resource = exchange.Resource;
        ClusterStore store = exchange.Server.Store;
        string? ns = resource.Namespaced && exchange.Target.Namespace.Length > 0 ? exchange.Target.Namespace : null;
        long limit = query.Limit;
        OrderedObjects objects;
        long revision;
        (string Namespace, string Name) start = ("", "");
        bool first = query.Continue.Length == 0;
        if (!first)
        {
            if (query.ResourceVersion is not ("" or "0"))
            {
                throw Refusal.BadRequest("specifying resource version is not allowed when using continue");
            }

            ContinueToken token = ContinueToken.Parse(query.Continue);
            start = token.Key(ns);
            if (token.Revision < 0)
            {
                (objects, revision) = store.Snapshot(resource.Storage);
            }
            else
            {
                revision = token.Revision;
                objects = AtRevision(store, resource, revision)
                    ?? throw Refusal.ExpiredContinue(new ContinueToken(-1, token.Start).Encode());
            }
        }
        else if (query.Revision > 0 && (query.Match == "Exact" || (query.Match.Length == 0 && limit > 0)))
        {
            revision = query.Revision;
            if (revision > store.Revision)
            {
                throw Refusal.FutureRevision();
            }

            objects = AtRevision(store, resource, revision) ?? throw Refusal.ExpiredList();
        }
        else
        {
            await WaitForRevisionAsync(exchange, query.Revision);
            (objects, revision) = store.Snapshot(resource.Storage);
            if (query.ResourceVersion == "0")
            {
                limit = 0;
            }
        }

        return Cut(objects, ns, start, revision, limit, query, first);
    }

    /// <summary>Where the objects of a request are: its namespace, or none for cluster-scoped ones.</summary>
    public static string ScopeOf(Exchange exchange) => exchange.Resource.Namespaced ? exchange.Target.Namespace : "";

    /// <summary>Waits until the store has reached a revision.</summary>
    /// <exception cref="StatusException">504 when it does not come.</exception>
    public static async Task WaitForRevisionAsync(Exchange exchange, long revision)
    {
        ClusterStore store = exchange.Server.Store;
        if (store.Revision >= revision)
        {
            return;
        }

        using var patience = CancellationTokenSource.CreateLinkedTokenSource(exchange.Aborted);
        using ITimer timer = exchange.Server.Time.CreateTimer(_ => patience.Cancel(), null, RevisionPatience, Timeout.InfiniteTimeSpan);
        while (true)
        {
            Task next = store.NextRevision();
            if (store.Revision >= revision)
            {
                return;
            }

            try
            {
                await next.WaitAsync(patience.Token);
            }
            catch (OperationCanceledException) when (!exchange.Aborted.IsCancellationRequested)
            {
                throw Refusal.RevisionTooLarge(revision, store.Revision);
            }
        }
    }

    private static OrderedObjects? AtRevision(ClusterStore store, ApiResource resource, long revision) =>
        revision > store.Revision ? throw Refusal.FutureRevision() : store.SnapshotAt(resource.Storage, revision);

    private static ListPage Cut(
        OrderedObjects objects, string? ns, (string Namespace, string Name) start, long revision, long limit, ListQuery query, bool first)
    {
        bool everything = query.Labels.IsEverything && query.Fields.IsEverything;
        IEnumerable<StoredObject> range = objects.Range(ns, start.Namespace, start.Name);
        if (!everything)
        {
            range = range.Where(o => Matches(query, o));
        }

        if (limit == 0)
        {
            return new ListPage([.. range], revision, null, null);
        }

        List<StoredObject> items = [.. range.Take((int)Math.Min(limit + 1, int.MaxValue))];
        if (items.Count <= limit)
        {
            return new ListPage(items, revision, null, null);
        }

        StoredObject beyond = items[^1];
        items.RemoveAt(items.Count - 1);
        string token = ContinueToken.After(revision, items[^1], ns is null, first).Encode();
        long? remaining = everything ? objects.CountRange(ns, beyond.Namespace, beyond.Name) : null;
        return new ListPage(items, revision, token, remaining);
    }

    /// <summary>Whether the selectors take an object.</summary>
    public static bool Matches(ListQuery query, StoredObject obj) =>
        (query.Labels.IsEverything || query.Labels.Matches(obj.Labels)) && (query.Fields.IsEverything || query.Fields.Matches(obj));

    private static JsonObject ListBody(ApiResource resource, IEnumerable<JsonObject> typed, ListPage page)
    {
        var items = new JsonArray();
        foreach (JsonObject item in typed)
        {
            if (resource.Custom is null)
            {
                item.Remove("kind");
                item.Remove("apiVersion");
            }

            items.Add(item);
        }

        return new JsonObject
        {
            ["kind"] = resource.ListKind,
            ["apiVersion"] = resource.ApiVersion,
            ["metadata"] = page.Metadata(),
            ["items"] = items,
        };
    }

    /// <summary>Writes the parts of a list one after the other: the beginning, each item, the end.</summary>
    public static Func<IBufferWriter<byte>, bool> StreamOf(ApiResource resource, ListPage page)
    {
        bool custom = resource.Custom is not null;
        byte[] begin = Encoding.UTF8.GetBytes(custom
            ? $$"""{"apiVersion":"{{resource.ApiVersion}}","items":["""
            : $$"""{"kind":"{{resource.ListKind}}","apiVersion":"{{resource.ApiVersion}}","metadata":{{page.Metadata().ToJsonString()}},"items":["""
        );
        byte[] end = Encoding.UTF8.GetBytes(custom
            ? $$"""],"kind":"{{resource.ListKind}}","metadata":{{page.CustomMetadata().ToJsonString()}}}""" + "\n"
            : "]}\n");
        int at = -1;
        return target =>
        {
            if (at < 0)
            {
                target.Write(begin);
                at = 0;
                return true;
            }

            if (at == page.Items.Count)
            {
                target.Write(end);
                return false;
            }

            if (at > 0)
            {
                target.Write(","u8);
            }

            // Items of built-in lists go out without kind and apiVersion, custom ones with them.
            StoredObject item = page.Items[at++];
            item.WriteTo(target, custom ? resource.Head : default, item.Revision);
            return true;
        };
    }
}

/// <summary>What one list request answers.</summary>
/// <param name="Items">The objects.</param>
/// <param name="Revision">The list's resourceVersion.</param>
/// <param name="Continue">Token for the next page, or null.</param>
/// <param name="Remaining">How many come after this page; null where nobody counted.</param>
internal sealed record ListPage(List<StoredObject> Items, long Revision, string? Continue, long? Remaining)
{
    public JsonObject Metadata()
    {
        var metadata = new JsonObject { ["resourceVersion"] = Revision.ToString(CultureInfo.InvariantCulture) };
        if (Continue is not null)
        {
            metadata["continue"] = Continue;
        }

        if (Remaining is > 0)
        {
            metadata["remainingItemCount"] = Remaining;
        }

        return metadata;
    }

    /// <summary>The metadata of a list of custom resources: sorted, with an empty token where there is none.</summary>
    public JsonObject CustomMetadata()
    {
        var metadata = new JsonObject { ["continue"] = Continue ?? "" };
        if (Remaining is > 0)
        {
            metadata["remainingItemCount"] = Remaining;
        }

        metadata["resourceVersion"] = Revision.ToString(CultureInfo.InvariantCulture);
        return metadata;
    }
}
