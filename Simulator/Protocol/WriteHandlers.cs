using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>Answers create, update, delete and deletecollection.</summary>
internal static class WriteHandlers
{
    public static async Task CreateAsync(Exchange exchange)
    {
        WriteOptions options = OptionsOf(exchange, "CreateOptions");
        JsonObject tree = await RequestBody.ReadObjectAsync(exchange);
        JsonObject stored = exchange.Server.Registry.Create(exchange.Resource, ReadHandlers.ScopeOf(exchange), tree, options);
        await exchange.WriteObjectAsync(stored, 201);
    }

    public static async Task UpdateAsync(Exchange exchange)
    {
        WriteOptions options = OptionsOf(exchange, "UpdateOptions");
        JsonObject tree = await RequestBody.ReadObjectAsync(exchange);
        JsonObject stored = exchange.Server.Registry.Update(
            exchange.Resource, ReadHandlers.ScopeOf(exchange), exchange.Target.Name, _ => tree, options);
        await exchange.WriteObjectAsync(stored);
    }

    public static async Task DeleteAsync(Exchange exchange)
    {
        DeleteRequest request = await DeleteRequestAsync(exchange);
        Deletion deletion = exchange.Server.Registry.Delete(exchange.Resource, ReadHandlers.ScopeOf(exchange), exchange.Target.Name, request);
        bool answersObject = !deletion.Gone || exchange.Resource.Storage == ResourceName.Pods;
        if (answersObject)
        {
            await exchange.WriteObjectAsync(deletion.Object);
            return;
        }

        var details = new JsonObject { ["name"] = exchange.Target.Name };
        if (exchange.Resource.Group.Length > 0)
        {
            details["group"] = exchange.Resource.Group;
        }

        details["kind"] = exchange.Resource.Plural;
        details["uid"] = deletion.Object.Text("metadata", "uid");
        await exchange.WriteAsync(
            new JsonObject
            {
                ["kind"] = "Status",
                ["apiVersion"] = "v1",
                ["metadata"] = new JsonObject(),
                ["status"] = "Success",
                ["details"] = details,
            },
            Negotiation.Of(exchange.Http.Request) with { Form = BodyForm.Object });
    }

    public static async Task DeleteCollectionAsync(Exchange exchange)
    {
        DeleteRequest request = await DeleteRequestAsync(exchange);
        ListQuery query = ListQuery.Parse(exchange.Http.Request, exchange.Target, exchange.Resource, exchange.Server.WatchList);
        ListPage page = await ReadHandlers.SelectAsync(exchange, query);
        foreach (StoredObject obj in page.Items)
        {
            try
            {
                exchange.Server.Registry.Delete(exchange.Resource, obj.Namespace, obj.Name, request);
            }
            catch (StatusException gone) when (gone.Code == 404)
            {
                // Somebody else was faster, which is what was asked for.
            }
        }

        await exchange.StreamAsync(ReadHandlers.StreamOf(exchange.Resource, page));
    }

    /// <summary>Reads the query parameters of a write.</summary>
    /// <exception cref="StatusException">422.</exception>
    public static WriteOptions OptionsOf(Exchange exchange, string kind)
    {
        IQueryCollection query = exchange.Http.Request.Query;
        var causes = new List<FieldCause>();
        bool dryRun = DryRun([.. query["dryRun"].OfType<string>()], causes);
        string validation = query["fieldValidation"].ToString();
        if (validation is not ("" or "Ignore" or "Warn" or "Strict"))
        {
            causes.Add(FieldCause.Unsupported("fieldValidation", $"\"{validation}\"", "Ignore", "Strict", "Warn"));
        }

        string manager = query["fieldManager"].ToString();
        if (manager.Length > 128)
        {
            causes.Add(new FieldCause("FieldValueTooLong", "fieldManager", "Too long: may not be more than 128 bytes"));
        }

        if (causes.Count > 0)
        {
            throw Refusal.InvalidOptions(kind, causes);
        }

        return new WriteOptions(manager.Length > 0 ? manager : AgentName(exchange))
        {
            DryRun = dryRun,
            Subresource = exchange.Target.Subresource,
            Warn = exchange.Warn,
        };
    }

    /// <summary>Without a field manager the beginning of the User-Agent stands in.</summary>
    private static string AgentName(Exchange exchange)
    {
        string agent = exchange.Http.Request.Headers.UserAgent.ToString().Split('/')[0];
        return agent.Length == 0 ? "unknown" : agent.Length > 128 ? agent[..128] : agent;
    }

    private static async Task<DeleteRequest> DeleteRequestAsync(Exchange exchange)
    {
        JsonObject? body = await RequestBody.ReadOptionsAsync(exchange, "DeleteOptions");
        IQueryCollection query = exchange.Http.Request.Query;
        var causes = new List<FieldCause>();
        string[] dryRuns = body?["dryRun"] is JsonArray given ? [.. given.Select(g => g!.GetValue<string>())] : [.. query["dryRun"].OfType<string>()];
        bool dryRun = DryRun(dryRuns, causes);
        string? policy = body.Text("propagationPolicy") ?? (query.ContainsKey("propagationPolicy") ? query["propagationPolicy"].ToString() : null);
        Propagation? propagation = null;
        if (policy is not null)
        {
            if (Enum.TryParse(policy, out Propagation known) && Enum.IsDefined(known) && !char.IsAsciiDigit(policy[0]))
            {
                propagation = known;
            }
            else
            {
                causes.Add(FieldCause.Unsupported("propagationPolicy", $"\"{policy}\"", "Foreground", "Background", "Orphan", "nil"));
            }
        }
        else if (body.At("orphanDependents") is not null)
        {
            propagation = body.Flag("orphanDependents") ? Propagation.Orphan : Propagation.Background;
        }

        if (causes.Count > 0)
        {
            throw Refusal.InvalidOptions("DeleteOptions", causes);
        }

        long? grace = body.Number("gracePeriodSeconds")
            ?? (long.TryParse(query["gracePeriodSeconds"].ToString(), out long asked) ? asked : null);
        return new DeleteRequest
        {
            Propagation = propagation,
            GracePeriodSeconds = grace,
            RequiredUid = body.Text("preconditions", "uid"),
            RequiredRevision = body.Text("preconditions", "resourceVersion"),
            DryRun = dryRun,
            Warn = exchange.Warn,
        };
    }

    private static bool DryRun(string[] values, List<FieldCause> causes)
    {
        if (values.Length > 0 && values.Any(v => v != "All"))
        {
            causes.Add(FieldCause.Unsupported("dryRun", $"[]string{{{string.Join(", ", values.Select(v => $"\"{v}\""))}}}", "All"));
        }

        return values.Length > 0;
    }
}
