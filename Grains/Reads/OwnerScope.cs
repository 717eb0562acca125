using System.Runtime.InteropServices;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Reads;

namespace MultiCluster.Grains.Reads;

/// <summary>Decides whether an object has the owner that a query asks for, through as many steps as it allows.</summary>
/// <remarks>
/// Walks up from the object: what it says of its owners decides the first step, the mirror of the owners' kinds the next ones.
/// What was found of an owner is remembered, because thousands of objects share few of them; hence one instance serves one pass
/// over one moment. Not thread-safe.
/// </remarks>
internal sealed class OwnerScope
{
    private readonly Func<string, MirrorSnapshot?> _objects;
    private readonly ICollection<string>? _visited;
    private readonly ApiSurface _surface;
    private readonly OwnerQuery _query;
    private readonly ObjectUid _uid;
    private readonly ResourceType? _kind;
    private readonly IReadOnlyDictionary<ObjectUid, List<MirrorRow>>? _past;
    private readonly Dictionary<(ObjectUid Owner, int Depth), bool> _known = [];
    private readonly Dictionary<(string ApiVersion, string Kind), MirrorSnapshot?> _snapshots = [];

    private OwnerScope(
        Func<string, MirrorSnapshot?> objects,
        ApiSurface surface,
        OwnerQuery query,
        ResourceType? kind,
        IReadOnlyDictionary<ObjectUid, List<MirrorRow>>? past,
        ICollection<string>? visited)
    {
        _objects = objects;
        _visited = visited;
        _surface = surface;
        _query = query;
        _kind = kind;
        _past = past;
        _uid = string.IsNullOrEmpty(query.Uid) ? default : ObjectUid.From(query.Uid);
    }

    /// <summary>A term that every match has; only where the direct owner is asked for by uid.</summary>
    public IndexTerm? Term => _query.Depth == 1 && !_uid.IsEmpty ? IndexTerm.Owner(_uid) : null;

    /// <summary>Begins a pass.</summary>
    /// <param name="mirror">The cluster.</param>
    /// <param name="surface">What it serves.</param>
    /// <param name="query">The owner.</param>
    /// <param name="failure">Why it cannot be evaluated here.</param>
    public static OwnerScope? Begin(ClusterMirror mirror, ApiSurface surface, OwnerQuery query, out ReadFailure? failure) =>
        Begin(mirror.SnapshotOf, surface, query, out failure);

    /// <summary>Begins a pass.</summary>
    /// <param name="objects">The objects of a kind, by group-resource; null where they are not known.</param>
    /// <param name="surface">What the cluster serves.</param>
    /// <param name="query">The owner.</param>
    /// <param name="failure">Why it cannot be evaluated here.</param>
    /// <param name="past">Earlier states of owners, when the question is whether an object ever matched.</param>
    /// <param name="visited">Takes the group-resources of the kinds whose objects had a say.</param>
    public static OwnerScope? Begin(
        Func<string, MirrorSnapshot?> objects,
        ApiSurface surface,
        OwnerQuery query,
        out ReadFailure? failure,
        IReadOnlyDictionary<ObjectUid, List<MirrorRow>>? past = null,
        ICollection<string>? visited = null)
    {
        failure = null;
        ResourceType? kind = null;
        if (query.Depth is < 1 or > 4)
        {
            failure = ReadFailure.Invalid("query.owner", $"The depth is {query.Depth}; an owner may be 1 to 4 steps up.");
            return null;
        }

        if (string.IsNullOrEmpty(query.Uid))
        {
            if (string.IsNullOrEmpty(query.Kind) || string.IsNullOrEmpty(query.Name))
            {
                failure = ReadFailure.Invalid("query.owner", "Name the owner by its uid, or by kind and name.");
                return null;
            }

            kind = surface.Find(query.Kind);
            if (kind is null)
            {
                failure = new ReadFailure(
                    CoverageState.NotServed,
                    new Clusters.ClusterFault(Clusters.ClusterFault.InvalidRequest, $"The owner's kind '{query.Kind}' is not served here.", "query.owner"));
                return null;
            }
        }

        return new OwnerScope(objects, surface, query, kind, past, visited);
    }

    /// <summary>Whether an object has the owner.</summary>
    public bool Matches(MirrorRow row) => Matches(row, _query.Depth);

    /// <summary>Whether an object of a kind could be an owner in between.</summary>
    public static bool MayPassOn(OwnerQuery query) => query.Depth > 1;

    private bool Matches(MirrorRow row, int depth)
    {
        foreach (RowOwner owner in row.Family.Owners)
        {
            if (IsAskedFor(owner) || (depth > 1 && HasOwner(owner, row.Namespace, depth - 1)))
            {
                return true;
            }
        }

        return false;
    }

    private bool IsAskedFor(RowOwner owner)
    {
        if (!_uid.IsEmpty)
        {
            return owner.Uid == _uid;
        }

        // The version in the reference is whatever the owner's controller was built with: only the group counts.
        return owner.Kind == _kind!.Kind && owner.Name == _query.Name && GroupOf(owner.ApiVersion).SequenceEqual(_kind.Group);
    }

    private bool HasOwner(RowOwner owner, string ns, int depth)
    {
        ref bool known = ref CollectionsMarshal.GetValueRefOrAddDefault(_known, (owner.Uid, depth), out bool exists);
        if (exists)
        {
            return known;   // also ends circles, which references can make although controllers do not
        }

        bool found = false;
        if (SnapshotOf(owner) is { } snapshot)
        {
            MirrorRow? row = snapshot.Get(ns, owner.Name);
            if (row is null && ns.Length > 0)
            {
                row = snapshot.Get("", owner.Name);   // a cluster-scoped owner
            }

            found = row is not null && row.Uid == owner.Uid && Matches(row, depth);
        }

        if (!found && _past is not null && _past.TryGetValue(owner.Uid, out List<MirrorRow>? states))
        {
            found = states.Any(state => Matches(state, depth));
        }

        _known[(owner.Uid, depth)] = found;
        return found;
    }

    private MirrorSnapshot? SnapshotOf(RowOwner owner)
    {
        (string, string) key = (owner.ApiVersion, owner.Kind);
        if (!_snapshots.TryGetValue(key, out MirrorSnapshot? snapshot))
        {
            ReadOnlySpan<char> group = GroupOf(owner.ApiVersion);
            ResourceType? type = _surface.FindKind(owner.ApiVersion, owner.Kind);
            foreach (ResourceType candidate in type is null ? _surface.Resources : [])
            {
                if (candidate.Kind == owner.Kind && group.SequenceEqual(candidate.Group))
                {
                    type = candidate;
                    break;
                }
            }

            if (type is not null)
            {
                snapshot = _objects(type.GroupResource);
                _visited?.Add(type.GroupResource);
            }

            _snapshots[key] = snapshot;
        }

        return snapshot;
    }

    private static ReadOnlySpan<char> GroupOf(string apiVersion)
    {
        int slash = apiVersion.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? [] : apiVersion.AsSpan(0, slash);
    }
}
