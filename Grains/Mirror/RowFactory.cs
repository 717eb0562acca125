using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Grains.Mirror;

/// <summary>Makes rows of one table out of scanned objects. Used by the table's writer alone.</summary>
internal sealed class RowFactory(ResourceType type)
{
    // Objects above this are no good as a base: each reader would unpack all of it for a few bytes of a sibling.
    private const int MaxBaseLength = 64 * 1024;

    // A base of another owner gives packed objects of about a quarter, one of the same owner a tenth; above half, the base is of no use.
    private const int PoorRatio = 2;

    private readonly KindProfile _profile = KindProfiles.For(type);
    private MirrorRow? _seed;

    public InternPool Pool { get; } = new();

    public MirrorRow Make(in ScannedObject item, ReadOnlySpan<byte> key, MirrorRow? existing, MirrorRow? before, MirrorRow? behind)
    {
        RowDraft draft = DraftOf(item, key.Length);
        bool isForeign = (draft.Traits & MirrorRow.Traits.ForeignUid) != MirrorRow.Traits.None;
        Span<byte> preface = stackalloc byte[RowPreface.LengthFor(key.Length, isForeign)];
        RowPreface.Write(draft.Uid, isForeign, key, preface);
        MirrorRow? basis = SiblingBase(draft.Family, existing) ?? SiblingBase(draft.Family, before) ?? SiblingBase(draft.Family, behind) ?? _seed;

        RowPacker packer = RowPacker.OfThisThread;
        ReadOnlySpan<byte> packed = PackAgainst(packer, basis, preface, item);
        if (basis is not null && basis != _seed && (packed.IsEmpty || packed.Length > draft.JsonLength / PoorRatio))
        {
            basis = _seed;
            packed = PackAgainst(packer, basis, preface, item);
        }

        bool becomesSeed = _seed is null && draft.JsonLength <= MaxBaseLength;
        bool isRaw = packed.IsEmpty || becomesSeed;
        byte[] bytes = [.. key, .. isRaw ? packer.Text : packed];
        var row = new MirrorRow(draft, bytes, isRaw ? null : basis, isRaw);
        if (becomesSeed)
        {
            _seed = row;
        }

        return row;
    }

    /// <summary>Forgets the first object, against which the others are packed, when the table has become empty.</summary>
    public void Forget() => _seed = null;

    private static ReadOnlySpan<byte> PackAgainst(RowPacker packer, MirrorRow? basis, ReadOnlySpan<byte> preface, in ScannedObject item)
    {
        packer.Begin(basis, preface);
        item.CopyJson(packer.Stage(item.JsonLength));
        return packer.Pack();
    }

    /// <summary>The base of a sibling, or the sibling itself when it can be one.</summary>
    private static MirrorRow? SiblingBase(RowFamily family, MirrorRow? sibling)
    {
        if (sibling is null || sibling.JsonLength > MaxBaseLength || !AreSiblings(family, sibling.Family))
        {
            return null;
        }

        // Bases are at most one step from a raw row, so that reading a row never unpacks more than two.
        return sibling.Basis is null or { IsRaw: true } ? sibling : sibling.Basis;
    }

    private static bool AreSiblings(RowFamily a, RowFamily b) =>
        ReferenceEquals(a, b) || (a.Owners.Length > 0 && b.Owners.Length > 0 && a.Owners[0].Uid == b.Owners[0].Uid);

    private RowDraft DraftOf(in ScannedObject item, int keyLength)
    {
        ObjectUid uid = ObjectUid.From(item.Uid, out bool isUuid);
        MirrorRow.Traits traits = (isUuid ? MirrorRow.Traits.None : MirrorRow.Traits.ForeignUid)
            | (item.IsTerminating ? MirrorRow.Traits.Terminating : MirrorRow.Traits.None)
            | (item.Facts.IsUnschedulable ? MirrorRow.Traits.Unschedulable : MirrorRow.Traits.None);
        return new RowDraft(
            keyLength, Pool.Family(item), Pool.Status(item.Phase, ReadinessRules.For(_profile, item)), Pool.Text(item.NodeName), uid,
            RowDraft.NumberOf(item.ResourceVersion), item.CreatedUnixSeconds, item.Facts.Restarts, item.JsonLength, traits);
    }
}
