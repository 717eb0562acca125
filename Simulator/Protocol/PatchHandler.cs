using System.Text.Json;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Admission;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.OpenApi;
using MultiCluster.Simulator.Patching;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>Answers patches of objects and their status: merge, JSON, strategic merge and server-side apply.</summary>
internal static class PatchHandler
{
    private const string Merge = "application/merge-patch+json";
    private const string Json = "application/json-patch+json";
    private const string Strategic = "application/strategic-merge-patch+json";
    private const string Apply = "application/apply-patch+yaml";

    public static async Task RunAsync(Exchange exchange)
    {
        string type = TypeOf(exchange, exchange.Resource);
        WriteOptions options = CheckOptions(exchange, type);
        byte[] body = await RequestBody.ReadAsync(exchange.Http);
        if (type == Apply)
        {
            await ApplyAsync(exchange, body, options);
            return;
        }

        Func<JsonObject, JsonObject> change = Reader(exchange.Resource, type, body);
        ApiResource resource = exchange.Resource;
        JsonObject stored = exchange.Server.Registry.Update(
            resource, ReadHandlers.ScopeOf(exchange), exchange.Target.Name,
            live =>
            {
                JsonObject patched = change(Exchange.Typed(resource, live));
                RequestBody.CheckFields(exchange, patched, []);
                if (resource.Custom is null)
                {
                    BuiltInValidation.CheckTypes(resource, patched);
                }

                return VersionConversion.ToStorage(resource, patched);
            },
            options with { IsPatch = true });
        await exchange.WriteObjectAsync(stored);
    }

    /// <summary>What a patch body of a type does to an object.</summary>
    /// <exception cref="StatusException">400 now, or 422 when it is applied.</exception>
    public static Func<JsonObject, JsonObject> Reader(ApiResource resource, string type, byte[] body)
    {
        JsonNode? patch;
        try
        {
            patch = JsonTree.Parse(body);
        }
        catch (JsonException e)
        {
            throw Refusal.BadRequest("error decoding patch: " + RequestBody.GoMessage(body, e));
        }

        return live =>
        {
            try
            {
                JsonNode? patched = (type, patch) switch
                {
                    (Merge, JsonObject merge) => JsonMergePatch.Apply(live, merge),
                    (Json, JsonArray operations) => JsonPatch.Apply(live, operations),
                    (Strategic, JsonObject strategic) => StrategicMergePatch.Apply(live, strategic, resource.Group, resource.Kind),
                    _ => throw Refusal.BadRequest("error decoding patch: json: cannot unmarshal into Go value of the patch type"),
                };
                return patched as JsonObject ?? throw Refusal.UnprocessablePatch();
            }
            catch (PatchFailedException failed)
            {
                throw failed.Failure == PatchFailure.Malformed ? Refusal.BadRequest(failed.Message) : Refusal.UnprocessablePatch();
            }
        };
    }

    /// <summary>The patch type of a request.</summary>
    /// <exception cref="StatusException">415.</exception>
    public static string TypeOf(Exchange exchange, ApiResource resource)
    {
        string type = (exchange.Http.Request.ContentType ?? "").Split(';')[0].Trim();
        if (type is Merge or Json or Apply || (type == Strategic && resource.Custom is null))
        {
            return type;
        }

        // What no resource reads is refused by the router, what this one does not read by the handler.
        throw type == Strategic
            ? Refusal.UnknownBodyType(Json, Merge, Apply)
            : new StatusException(415, "UnsupportedMediaType", "415: Unsupported Media Type") { Details = [] };
    }

    /// <summary>The options of a patch.</summary>
    /// <exception cref="StatusException">422.</exception>
    public static WriteOptions CheckOptions(Exchange exchange, string type)
    {
        WriteOptions options = WriteHandlers.OptionsOf(exchange, "PatchOptions");
        var query = exchange.Http.Request.Query;
        if (type == Apply && query["fieldManager"].ToString().Length == 0)
        {
            throw Refusal.InvalidOptions("PatchOptions", FieldCause.Required("fieldManager", "is required for apply patch"));
        }

        if (type != Apply && query.ContainsKey("force"))
        {
            throw Refusal.InvalidOptions("PatchOptions", FieldCause.Forbidden("force", "may not be specified for non-apply patch"));
        }

        return options;
    }

    private static async Task ApplyAsync(Exchange exchange, byte[] body, WriteOptions options)
    {
        ApiResource resource = exchange.Resource;
        string ns = ReadHandlers.ScopeOf(exchange);
        string name = exchange.Target.Name;
        JsonObject config = ReadConfiguration(exchange, body);
        bool force = exchange.Http.Request.Query.TryGetValue("force", out var asked) && ListQuery.IsTrue(asked.ToString());
        SchemaNode schema = exchange.Server.Schemas.SchemaOf(resource);
        var writer = new FieldWriter(options.Manager, resource.ApiVersion, options.Subresource, exchange.Server.Time.GetUtcNow());
        ObjectRegistry registry = exchange.Server.Registry;
        options = options with { IsApply = true, IsPatch = true };
        (JsonObject stored, int status) = registry.Store.Transaction(() =>
        {
            if (registry.Store.Find(resource.Storage, ns, name) is null)
            {
                if (options.Subresource.Length > 0)
                {
                    throw Refusal.NotFound(resource, name);
                }

                JsonObject made = Merged(null, config, writer, force, schema);
                return (registry.Create(resource, ns, VersionConversion.ToStorage(resource, made), options), 201);
            }

            JsonObject updated = registry.Update(
                resource, ns, name,
                live => VersionConversion.ToStorage(resource, Merged(Exchange.Typed(resource, live), config, writer, force, schema)), options);
            return (updated, 200);
        });
        await exchange.WriteObjectAsync(stored, status);
    }

    private static JsonObject ReadConfiguration(Exchange exchange, byte[] body)
    {
        JsonObject config;
        try
        {
            config = YamlText.ToJson(body) as JsonObject ?? throw new JsonException("not an object");
        }
        catch (JsonException e)
        {
            throw Refusal.BadRequest("error decoding YAML: " + e.Message);
        }

        ApiResource resource = exchange.Resource;
        string kind = config.Text("kind") ?? "";
        string apiVersion = config.Text("apiVersion") ?? "";
        if (kind.Length == 0 || apiVersion.Length == 0)
        {
            string group = apiVersion.Contains('/') ? apiVersion.Split('/')[0] : "";
            throw Refusal.BadRequest($"invalid object type: {group}/{apiVersion.Split('/')[^1]}, Kind={kind}");
        }

        if (kind != resource.Kind || apiVersion != resource.ApiVersion)
        {
            throw Refusal.BadRequest($"invalid object type: {apiVersion}, Kind={kind}");
        }

        JsonObject metadata = config.Section("metadata");
        if (metadata["managedFields"] is not null)
        {
            throw Refusal.BadRequest("metadata.managedFields must be nil");
        }

        metadata.Default("name", exchange.Target.Name);
        if (metadata.Text("name") != exchange.Target.Name)
        {
            throw Refusal.BadRequest($"the name of the object ({metadata.Text("name")}) does not match the name on the URL ({exchange.Target.Name})");
        }

        if (resource.Namespaced)
        {
            metadata.Default("namespace", exchange.Target.Namespace);
        }

        RequestBody.CheckFields(exchange, config, []);
        bool statusApart = resource.Custom?.HasStatus ?? resource.Subresources.Any(s => s.Name == "status");
        if (statusApart && exchange.Target.Subresource.Length == 0)
        {
            config.Remove("status");
        }

        return config;
    }

    private static JsonObject Merged(JsonObject? live, JsonObject config, FieldWriter writer, bool force, SchemaNode schema)
    {
        ApplyOutcome outcome = ServerSideApply.Apply(live, config, writer, force, schema);
        return outcome.Object ?? throw new StatusException(409, "Conflict", outcome.Message)
        {
            Details = new JsonObject
            {
                ["causes"] = new JsonArray([.. outcome.Conflicts.Select(c => (JsonNode)new JsonObject
                {
                    ["reason"] = "FieldManagerConflict",
                    ["message"] = c.Message,
                    ["field"] = c.Field,
                })]),
            },
        };
    }
}
