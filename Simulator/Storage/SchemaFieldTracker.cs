using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.OpenApi;
using MultiCluster.Simulator.Patching;

namespace MultiCluster.Simulator.Storage;

/// <summary>Keeps managedFields by the schemas of the kinds.</summary>
internal sealed class SchemaFieldTracker : IFieldTracker
{
    private readonly ConditionalWeakTable<ApiResource, SchemaNode> _schemas = [];

    public void Track(ApiResource resource, JsonObject? live, JsonObject updated, string manager, string subresource, string now)
    {
        DateTimeOffset moment = DateTimeOffset.ParseExact(now, "yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
        ServerSideApply.TrackUpdate(live, updated, new FieldWriter(manager, resource.ApiVersion, subresource, moment), SchemaOf(resource));
    }

    /// <summary>The schema by which fields of a resource are merged and owned.</summary>
    public SchemaNode SchemaOf(ApiResource resource) => _schemas.GetValue(resource, static r => r.Custom is { } custom
        ? CrdSchema.ToNode(custom.Schema, r.Kind)
        : SchemaCatalog.BuiltIn.FindOrUnknown(r.Group, r.Kind));
}
