using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.OpenApi;

/// <summary>A resource that the documents describe.</summary>
/// <param name="CustomSchema">The <c>openAPIV3Schema</c> of a custom resource; null for built-in kinds.</param>
internal sealed record OpenApiResource(string Group, string Version, string Kind, string Plural, bool Namespaced, JsonObject? CustomSchema = null)
{
    /// <summary>The key in the index: <c>api/v1</c>, <c>apis/apps/v1</c>.</summary>
    public string DocumentPath => Group.Length == 0 ? $"api/{Version}" : $"apis/{Group}/{Version}";
}

/// <summary>The OpenAPI documents of one set of resources: index, one document per group version, and the old single document.</summary>
/// <remarks>
/// Immutable and thread-safe; documents are built on first use and kept. A change of the resources needs a new instance.
/// They hold what kubectl reads (schemas, merge keys, the parameters of PATCH) and not the whole surface of the API.
/// </remarks>
internal sealed class OpenApiDocuments(IReadOnlyList<OpenApiResource> resources)
{
    private readonly ConcurrentDictionary<string, byte[]> _documents = new(StringComparer.Ordinal);
    private byte[]? _index;
    private byte[]? _v2;
    private byte[]? _v2Protobuf;

    /// <summary>The answer to <c>/openapi/v3</c>.</summary>
    public byte[] Index => _index ??= BuildIndex();

    /// <summary>The answer to <c>/openapi/v2</c> as JSON.</summary>
    public byte[] V2 => _v2 ??= Bytes(BuildV2());

    /// <summary>The answer to <c>/openapi/v2</c> as <see cref="ProtobufDocument.MediaType"/>.</summary>
    public byte[] V2Protobuf => _v2Protobuf ??= ProtobufDocument.Write(BuildV2());

    /// <summary>The answer to <c>/openapi/v3/PATH</c>, or null when there is no such document.</summary>
    public byte[]? V3(string path) =>
        Paths().Contains(path, StringComparer.Ordinal) ? _documents.GetOrAdd(path, BuildV3) : null;

    private IEnumerable<string> Paths() => resources.Select(r => r.DocumentPath)
        .Concat(resources.Where(r => r.Group.Length > 0).Select(r => $"apis/{r.Group}"))
        .Concat(["api", "apis", "version"]).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal);

    private byte[] BuildIndex()
    {
        JsonObject paths = [];
        foreach (string path in Paths())
        {
            string hash = Convert.ToHexString(SHA512.HashData(V3(path)!));
            paths[path] = new JsonObject { ["serverRelativeURL"] = $"/openapi/v3/{path}?hash={hash}" };
        }

        return Bytes(new JsonObject { ["paths"] = paths });
    }

    private byte[] BuildV3(string path)
    {
        OpenApiResource[] members = [.. resources.Where(r => r.DocumentPath == path)];
        JsonObject schemas = [];
        JsonObject paths = [];
        var writer = new SchemaWriter("#/components/schemas/", wrapReferences: true, schemas);
        foreach (OpenApiResource resource in members)
        {
            AddSchema(resource, writer, schemas);
            AddPaths(resource, paths, wrapTypes: true);
        }

        return Bytes(new JsonObject
        {
            ["openapi"] = "3.0.0",
            ["info"] = Info(),
            ["paths"] = paths,
            ["components"] = new JsonObject { ["schemas"] = schemas },
        });
    }

    private JsonObject BuildV2()
    {
        JsonObject definitions = [];
        JsonObject paths = [];
        var writer = new SchemaWriter("#/definitions/", wrapReferences: false, definitions);
        foreach (OpenApiResource resource in resources)
        {
            AddSchema(resource, writer, definitions);
            AddPaths(resource, paths, wrapTypes: false);
        }

        return new JsonObject { ["swagger"] = "2.0", ["info"] = Info(), ["paths"] = paths, ["definitions"] = definitions };
    }

    private static void AddSchema(OpenApiResource resource, SchemaWriter writer, JsonObject schemas)
    {
        if (resource.CustomSchema is { } custom)
        {
            var schema = (JsonObject)custom.DeepClone();
            JsonObject properties = schema["properties"] as JsonObject ?? [];
            schema["properties"] = properties.Parent is null ? properties : properties.DeepClone();
            properties = (JsonObject)schema["properties"]!;
            properties["apiVersion"] = new JsonObject { ["type"] = "string", ["description"] = "Group and version of this document." };
            properties["kind"] = new JsonObject { ["type"] = "string", ["description"] = "Kind of this document." };
            properties["metadata"] = writer.Reference("ObjectMeta", "Name, labels and other metadata.");
            schema["x-kubernetes-group-version-kind"] = new JsonArray(Gvk(resource));
            schemas[$"{string.Join('.', resource.Group.Split('.').Reverse())}.{resource.Version}.{resource.Kind}"] = schema;
        }
        else if (SchemaCatalog.BuiltIn.TryFind(resource.Group, resource.Kind, out SchemaNode? node))
        {
            writer.Define(node.Type!, Gvk(resource));
        }
        else
        {
            schemas[$"io.k8s.{resource.Group}.{resource.Version}.{resource.Kind}"] = new JsonObject
            {
                ["description"] = $"{resource.Kind}; its fields are not described here.",
                ["type"] = "object",
                ["x-kubernetes-group-version-kind"] = new JsonArray(Gvk(resource)),
                ["x-kubernetes-preserve-unknown-fields"] = true,
            };
        }
    }

    /// <param name="wrapTypes">OpenAPI 3 puts the type of a parameter into a schema; OpenAPI 2 does not.</param>
    private static void AddPaths(OpenApiResource resource, JsonObject paths, bool wrapTypes)
    {
        string root = $"/{resource.DocumentPath}/";
        string collection = resource.Namespaced ? $"{root}namespaces/{{namespace}}/{resource.Plural}" : root + resource.Plural;
        paths[collection] = new JsonObject
        {
            ["get"] = Operation(resource, "list", [], wrapTypes),
            ["post"] = Operation(resource, "post", ["dryRun", "fieldManager", "fieldValidation"], wrapTypes),
        };
        paths[collection + "/{name}"] = new JsonObject
        {
            ["get"] = Operation(resource, "get", [], wrapTypes),
            ["put"] = Operation(resource, "put", ["dryRun", "fieldManager", "fieldValidation"], wrapTypes),
            ["patch"] = Operation(resource, "patch", ["dryRun", "fieldManager", "fieldValidation", "force"], wrapTypes),
            ["delete"] = Operation(resource, "delete", ["dryRun", "gracePeriodSeconds", "propagationPolicy"], wrapTypes),
        };
    }

    private static JsonObject Operation(OpenApiResource resource, string action, string[] parameters, bool wrapTypes) => new()
    {
        ["parameters"] = new JsonArray([.. parameters.Select(p => Parameter(p, wrapTypes))]),
        ["responses"] = new JsonObject { ["200"] = new JsonObject { ["description"] = "OK" } },
        ["x-kubernetes-action"] = action,
        ["x-kubernetes-group-version-kind"] = Gvk(resource),
    };

    private static JsonObject Parameter(string name, bool wrapTypes)
    {
        JsonObject parameter = new() { ["name"] = name, ["in"] = "query" };
        string type = name switch { "force" => "boolean", "gracePeriodSeconds" => "integer", _ => "string" };
        if (wrapTypes)
        {
            parameter["schema"] = new JsonObject { ["type"] = type };
        }
        else
        {
            parameter["type"] = type;
        }

        return parameter;
    }

    private static JsonObject Gvk(OpenApiResource resource) => new() { ["group"] = resource.Group, ["kind"] = resource.Kind, ["version"] = resource.Version };

    private static JsonObject Info() => new() { ["title"] = "Kubernetes", ["version"] = "1.32" };

    private static byte[] Bytes(JsonObject document) => Encoding.UTF8.GetBytes(document.ToJsonString());
}
